"""A reply is spoken to its end, whatever its service does: each failure at each moment."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest
from pipecat.frames.frames import (
    CancelFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.tests.utils import SleepFrame, run_test

from outdial_media import spare_voice
from outdial_media.pauses import from_pause
from outdial_media.spare_voice import SpeaksOn, VoiceLost
from outdial_media.twilio_frames import SAMPLE_RATE

pytestmark = pytest.mark.unit

OWN, OTHER = b"\x01\x10", b"\x02\x20"
SENTENCE = 1000  # samples


class Service(TTSService):
    """A voice over a socket: sound comes apart from what is sent, and `Flush` ends a reply."""

    def __init__(self, behaves: str) -> None:
        super().__init__(
            sample_rate=SAMPLE_RATE,
            push_start_frame=True,
            pause_frame_processing=True,
            stop_frame_timeout_s=5.0,
            settings=TTSSettings(model=None, voice=None, language=None),
        )
        self.behaves = behaves
        self.asked: list[str] = []

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        self.asked.append(text)
        if self.behaves == "errs":
            yield ErrorFrame(error="cannot send")
            return
        if self.behaves in ("works", "is cut", "breaks off"):
            whole = SENTENCE if self.behaves == "works" else SENTENCE // 2
            audio = TTSAudioRawFrame(OWN * whole, SAMPLE_RATE, 1, context_id=context_id)
            await self.append_to_audio_context(context_id, audio)
        if self.behaves == "is cut":
            await self.push_error_frame(ErrorFrame(error="connection lost"))
        yield None

    async def flush_audio(self, context_id: str | None = None) -> None:
        if self.behaves == "works":
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
            await self.remove_audio_context(context_id)
        if self.behaves == "breaks off":  # upstream closes what is open when it connects anew
            await self.remove_audio_context(context_id)


class Voice(SpeaksOn, Service):
    """The service with a spare."""

    tells_its_end = True
    silence_seconds = 0.1


def voice(behaves: str, *, spare_works: bool = True) -> tuple[Voice, list[str], list[str]]:
    made, spoken, replaced = Voice(behaves), list[str](), list[str]()

    async def spare(text: str) -> bytes:
        spoken.append(" ".join(text.split()))
        if not spare_works:
            raise VoiceLost("nobody speaks")
        return OTHER * (SENTENCE * text.count("."))

    made.spare = spare
    made.on_replaced = replaced.append
    return made, spoken, replaced


async def reply(made: Voice, *texts: str) -> tuple[bytes, list[Frame]]:
    """The sound of one reply, and every frame that came of it."""
    frames: list[Frame] = [LLMFullResponseStartFrame()]
    frames += [LLMTextFrame(text) for text in texts]
    frames.append(LLMFullResponseEndFrame())
    async with asyncio.timeout(20):
        down, up = await run_test(made, frames_to_send=frames)
    sound = b"".join(frame.audio for frame in down if isinstance(frame, TTSAudioRawFrame))
    return sound, [*down, *up]


TEXTS = ("One. ", "Two.")


async def test_a_reply_that_the_calls_end_overtakes_leaves_no_task_behind() -> None:
    """It was handed over whole, no sound has come, and the call is over."""
    made, _, _ = voice("hangs")
    made.silence_seconds = 60.0
    async with asyncio.timeout(20):
        await run_test(
            made,
            frames_to_send=[
                LLMFullResponseStartFrame(),
                LLMTextFrame("One."),
                LLMFullResponseEndFrame(),
                SleepFrame(0.2),
                CancelFrame(),
            ],
            send_end_frame=False,
        )
    assert not made._replies
    assert not [task for task in asyncio.all_tasks() if "_watch" in task.get_name()]


async def test_a_voice_that_works_speaks_itself() -> None:
    made, spoken, replaced = voice("works")
    sound, frames = await reply(made, *TEXTS)
    assert sound == OWN * (2 * SENTENCE)
    assert (spoken, replaced) == ([], [])
    assert sum(isinstance(frame, TTSStoppedFrame) for frame in frames) == 1


@pytest.mark.parametrize("behaves", ["errs", "hangs"])
async def test_without_a_sound_the_spare_says_all_of_it(behaves: str) -> None:
    made, spoken, replaced = voice(behaves)
    sound, frames = await reply(made, *TEXTS)
    assert sound == OTHER * (2 * SENTENCE)
    assert " ".join(spoken) == "One. Two."
    assert len(replaced) == 1
    assert sum(isinstance(frame, TTSStoppedFrame) for frame in frames) == 1
    assert made.is_usable


@pytest.mark.parametrize("behaves", ["is cut", "breaks off"])
async def test_what_stops_in_the_middle_is_said_to_its_end(behaves: str) -> None:
    made, _, replaced = voice(behaves)
    sound, frames = await reply(made, *TEXTS)
    own = sound.count(OWN)
    assert own > 0
    assert sound.startswith(OWN * own)
    # No pause in this voice's sound: it begins anew rather than in the middle of a word.
    assert sound.count(OTHER) == 2 * SENTENCE
    assert len(replaced) == 1
    assert sum(isinstance(frame, TTSStoppedFrame) for frame in frames) == 1


async def test_a_service_that_failed_is_not_asked_again_until_it_is_connected() -> None:
    made, spoken, _ = voice("hangs")
    await reply(made, "One.")
    asked = list(made.asked)
    made._out_of_order = True
    made._connected()
    assert not made._out_of_order
    assert asked == ["One."]
    assert spoken == ["One."]


async def test_when_nobody_speaks_the_voice_says_so_for_good() -> None:
    made, _, _ = voice("hangs", spare_works=False)
    sound, frames = await reply(made, "One.")
    assert sound == b""
    assert not made.is_usable
    errors = [frame.error for frame in frames if isinstance(frame, ErrorFrame)]
    assert "nobody speaks" in errors


def speech(*loud: bool) -> bytes:
    """Tenths of a second of sound or silence."""
    tenth = SAMPLE_RATE // 10
    wave = (8000 * np.sin(np.arange(tenth))).astype("<i2")
    return b"".join(wave.tobytes() if is_loud else bytes(2 * tenth) for is_loud in loud)


@pytest.mark.parametrize(
    ("position", "begins"),
    [(0.0, 0.0), (0.15, 0.0), (0.35, 0.25), (0.45, 0.25), (0.9, None)],
    ids=str,
)
def test_the_rest_begins_at_a_pause(position: float, begins: float | None) -> None:
    pcm = speech(True, True, False, True, True)
    rest = from_pause(pcm, int(2 * SAMPLE_RATE * position))
    expected = b"" if begins is None else pcm[int(2 * SAMPLE_RATE * begins) :]
    assert rest == expected


async def test_what_no_voice_speaks_is_not_over_as_if_it_had_been_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever is told of the loss interrupts it: until then its end is held back."""
    monkeypatch.setattr(spare_voice, "LOST_SECONDS", 60.0)
    made, _, _ = voice("hangs", spare_works=False)
    frames: list[Frame] = [LLMFullResponseStartFrame(), LLMTextFrame("One. ")]
    frames += [LLMFullResponseEndFrame(), SleepFrame(sleep=0.5), InterruptionFrame()]
    async with asyncio.timeout(20):
        down, up = await run_test(made, frames_to_send=frames)
    assert any(isinstance(frame, ErrorFrame) for frame in up)
    kinds = [type(frame) for frame in down]
    assert TTSStoppedFrame not in kinds[: kinds.index(InterruptionFrame)]


async def test_what_nobody_interrupts_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare_voice, "LOST_SECONDS", 0.1)
    made, _, _ = voice("hangs", spare_works=False)
    _, frames = await reply(made, *TEXTS)
    assert any(isinstance(frame, TTSStoppedFrame) for frame in frames)
