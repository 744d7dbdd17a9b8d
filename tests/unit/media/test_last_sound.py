"""Since when a line is silent, by its loudness; and a voice's end that is told by it."""

from typing import Any

import numpy as np
import pytest
from loud_is_voice import LoudIsVoice
from pipecat.audio.vad.vad_analyzer import VADParams, VADState

from outdial_media.last_sound import QUIETER, LastSound
from outdial_media.twilio_frames import SAMPLE_RATE
from outdial_media.voice_activity import SharedSilero, WindowsTogether

pytestmark = pytest.mark.unit

_FRAME = SAMPLE_RATE // 50
STOP_SECONDS = 0.25
LINGERS = 5  # windows in which Silero still hears the voice: 160 ms


def _frame(loudness: int) -> bytes:
    """20 ms of it."""
    return np.tile(np.array([loudness, -loudness], np.int16), _FRAME // 2).tobytes()


class VoiceLingers(LoudIsVoice):
    """Silero as it is after a voice's end. Its state counts down what is left of it."""

    def run(self, names: None, inputs: dict[str, Any]) -> list[Any]:
        scores, _ = super().run(names, inputs)
        left = np.where(scores[:, 0] > 0.5, LINGERS, inputs["state"][0, :, 0] - 1)
        state = np.empty_like(inputs["state"])
        state[:] = left[None, :, None]
        return [np.maximum(scores, (left >= 0)[:, None]), state]


class Line:
    """A call whose sound comes 20 ms at a time, and what it tells."""

    def __init__(self, session: LoudIsVoice) -> None:
        self._windows = WindowsTogether(session)  # type: ignore[arg-type]
        params = VADParams(confidence=0.6, start_secs=0.1, stop_secs=STOP_SECONDS)
        self._call = SharedSilero(self._windows, params)
        self._call.set_sample_rate(SAMPLE_RATE)
        self._call.on_state = self._note
        self._frames = 0
        self.silent_after: int | None = None
        self._spoke = False

    def _note(self, state: VADState) -> None:
        self._spoke = self._spoke or state == VADState.SPEAKING
        if state == VADState.QUIET and self._spoke and self.silent_after is None:
            self.silent_after = self._frames

    def hear(self, loudness: int, frames: int) -> None:
        for _ in range(frames):
            self._frames += 1
            self._call.take(_frame(loudness))
            self._windows._look()  # not when a timer has run out

    def late(self, pcm: bytes, *, silent_after: int | None) -> None:
        self._frames += 1
        self._call.take(pcm)
        assert self.silent_after == silent_after, "before it was looked at"
        self._windows._look()

    async def spoken(self, frames: int) -> None:
        """Frames of speech, and nothing told yet."""
        self.hear(8000, frames)
        assert self.silent_after is None
        self._frames = 0


@pytest.mark.parametrize("spoken", range(20, 28), ids=lambda frames: f"{frames}-frames")
async def test_a_silence_is_told_with_the_nearest_frame_wherever_windows_end(spoken: int) -> None:
    """Silero hears the voice for five windows more, and its windows end anywhere in a frame."""
    line = Line(VoiceLingers())
    await line.spoken(spoken)
    line.hear(3, 30)
    assert line.silent_after is not None
    assert line.silent_after * 0.02 == pytest.approx(STOP_SECONDS, abs=0.011)


async def test_who_goes_on_before_it_is_over_has_not_fallen_silent() -> None:
    line = Line(VoiceLingers())
    await line.spoken(20)
    line.hear(3, 11)
    line.hear(8000, 10)
    assert line.silent_after is None


async def test_a_voice_that_nobody_has_looked_at_yet_is_not_passed_over() -> None:
    """The line was late: a voice and 280 ms of silence come at once, within a longer turn."""
    line = Line(LoudIsVoice())
    await line.spoken(20)
    line.hear(3, 5)
    line.late(_frame(8000) * 10 + _frame(3) * 14, silent_after=None)
    assert line.silent_after == 5 + 1


async def test_a_noisy_line_is_silent_when_silero_has_heard_nothing_for_so_long() -> None:
    line = Line(LoudIsVoice())
    await line.spoken(20)
    line.hear(8000 // QUIETER + 50, 40)  # too loud for a silence, too soft for this Silero
    assert line.silent_after is not None
    assert 0.25 < line.silent_after * 0.02 <= 0.3


async def test_silence_alone_ends_nothing_while_silero_hears_a_voice() -> None:
    """Vowels that fade under 30 dB are Silero's to judge."""

    class HearsOn(LoudIsVoice):
        def run(self, names: None, inputs: dict[str, Any]) -> list[Any]:
            scores, state = super().run(names, inputs)
            return [np.ones_like(scores), state]

    line = Line(HearsOn())
    await line.spoken(20)
    line.hear(3, 30)
    assert line.silent_after is None


@pytest.mark.parametrize(
    ("sounds", "silent"),
    [
        ([(8000, 10), (3, 10)], 0.2),
        ([(8000, 10), (3, 5), (8000 // QUIETER + 10, 1), (3, 4)], 0.08),
        ([(8000, 10), (8000 // (2 * QUIETER), 10)], 0.2),
        ([(8000, 10), (400, 5)], 0.0),
        ([(8000, 10), (3, 150), (60, 1)], 0.0),
        ([], 0.0),
    ],
    ids=["voice", "weak-sound", "soft-noise", "softer-voice", "another-soft-voice", "nothing"],
)
def test_what_counts_as_silence(sounds: list[tuple[int, int]], silent: float) -> None:
    last = LastSound()
    for loudness, frames in sounds:
        for _ in range(frames):
            last.hear(_frame(loudness))
    assert last.silent_seconds == pytest.approx(silent)


def test_a_sound_that_ends_within_a_frame_is_counted_from_there() -> None:
    last = LastSound()
    half = len(_frame(0)) // 2
    last.hear(_frame(8000))
    last.hear(_frame(8000)[:half] + _frame(3)[half:])
    assert last.silent_seconds == pytest.approx(0.01)
