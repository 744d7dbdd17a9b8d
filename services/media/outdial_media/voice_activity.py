"""Silero for all calls of a process: one session, and one run of it for the windows of many calls.

Pipecat 1.14 loads a session for every call and runs it for every window of 32 ms. Its weights have
left the processor's cache by the next window, so that reading them is most of the work: eight
windows together cost little more than one. `tests/unit/media/test_voice_activity.py` fails if
upstream changes what is relied on here.
"""

import asyncio
import weakref
from collections.abc import Callable

import numpy as np
import structlog
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from pipecat.audio.vad.silero import SileroOnnxModel, SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

from outdial_media.last_sound import LastSound
from outdial_media.twilio_frames import SAMPLE_RATE

_log = structlog.get_logger(__name__)

CONTEXT, WINDOW = 32, 256
"""Samples at 8 kHz: what Silero is shown of the window before, and a window."""

GATHER_SECONDS = 0.01
"""How long a window waits for those of other calls."""

FEW_CALLS = 3
"""So few calls gain nothing by waiting for each other."""

MOST_AT_ONCE = 64
"""Windows in one run: about 2 ms."""

LIKELY_WINDOWS = 2
"""In a row with a voice: 64 ms, after which it is likely that somebody begins to speak."""

NEAREST_SECONDS = 0.01
"""Half of the 20 ms by which sound comes: a silence is told with the frame nearest to its end."""

_RATE = np.array(SAMPLE_RATE, np.int64)


class SileroState(SileroOnnxModel):
    """The recurrent state of one call around the session of all (pipecat 1.14)."""

    def __init__(self, session: InferenceSession) -> None:
        # Not super().__init__(): that is what loads a session.
        self.session = session
        self.reset_states()
        self.sample_rates = [8000, 16000]

    def reset_states(self, batch_size: int = 1) -> None:
        """Forget what was heard."""
        super().reset_states(batch_size)
        self._window = np.zeros((1, CONTEXT + WINDOW), np.float32)

    def show(self, window: bytes) -> NDArray[np.float32]:
        """What the model is to look at for 32 ms at 8 kHz: (1, 288), and the context of the next.

        The same as calling it, without upstream's checks and copies.
        """
        heard = self._window
        heard[0, :CONTEXT] = heard[0, -CONTEXT:]
        np.multiply(np.frombuffer(window, np.int16), np.float32(1 / 32768), out=heard[0, CONTEXT:])
        return heard

    def confidence(self, window: bytes) -> float:
        """How likely it is that 32 ms at 8 kHz are speech."""
        inputs = {"input": self.show(window), "state": self._state, "sr": _RATE}
        out, self._state = self.session.run(None, inputs)
        return float(out[0, 0])


class SharedSilero(SileroVADAnalyzer):
    """Silero for one call."""

    def __init__(self, together: "WindowsTogether", params: VADParams) -> None:
        # Not SileroVADAnalyzer.__init__(), for the same reason.
        VADAnalyzer.__init__(self, params=params)
        self._model: SileroState = SileroState(together.session)
        self._together = together
        self._scored: float | None = None
        self._windows_since_reset = 0
        self._low_confidence_windows = 0
        self._last_sound = LastSound()
        self.on_state: Callable[[VADState], None] = lambda _: None
        """Called on the loop with the state after each window of what `take` was given."""
        self._is_likely = False
        self.on_likely: Callable[[bool], None] = lambda _: None
        """Called on the loop when a voice is likely (True), and when it was none (False)."""

    def take(self, pcm: bytes) -> None:
        """Look at sound soon, together with that of other calls."""
        self._vad_buffer += pcm
        self._last_sound.hear(pcm)
        if self._has_been_silent():
            self._fall_silent()
            self.on_state(self._vad_state)
        if self.has_window:
            self._together.add(self)

    @property
    def has_window(self) -> bool:
        """Whether there is enough sound to look at."""
        return len(self._vad_buffer) >= self._vad_frames_num_bytes

    def show(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The next window as the model sees it (1, 288), and the state before it (2, 1, 128)."""
        window = self._vad_buffer[: self._vad_frames_num_bytes]
        return self._model.show(window), self._model._state  # noqa: SLF001

    def see(self, confidence: float, state: NDArray[np.float32]) -> None:
        """Take the model's word on the window that was shown; `state` is the one after it."""
        size = self._vad_frames_num_bytes
        window, rest = self._vad_buffer[:size], self._vad_buffer[size:]
        self._model._state = state  # noqa: SLF001
        self._vad_buffer, self._scored = b"", confidence
        self._run_analyzer(window)
        self._vad_buffer, self._scored = rest, None
        if self._has_been_silent():
            self._fall_silent()
        self._tell_likely()
        self.on_state(self._vad_state)

    def _tell_likely(self) -> None:
        starts = self._vad_state == VADState.STARTING
        if starts and not self._is_likely and self._vad_starting_count >= LIKELY_WINDOWS:
            self._is_likely = True
            self.on_likely(True)
        elif self._is_likely and not starts:
            self._is_likely = False
            if self._vad_state == VADState.QUIET:
                self.on_likely(False)

    def _has_been_silent(self) -> bool:
        """Whether Silero hears no voice, and there has been no sound for as long as it takes.

        Upstream counts windows in which Silero hears none. It is right about the voice, but 50 to
        200 ms late, and the next window is full a frame or two later: each reply would wait.
        """
        if self._vad_state != VADState.STOPPING:
            return False
        silent = self._last_sound.silent_seconds
        unseen = len(self._vad_buffer) / (2 * SAMPLE_RATE)  # of it, Silero has not said a word
        return silent + NEAREST_SECONDS >= self._params.stop_secs and unseen <= silent

    def _fall_silent(self) -> None:
        self._vad_state, self._vad_stopping_count = VADState.QUIET, 0

    async def analyze_audio(self, buffer: bytes) -> VADState:
        """The state after `buffer`, at once: on the loop, for the hop to a thread costs more."""
        return self.analyze(buffer)

    def analyze(self, buffer: bytes) -> VADState:
        """The same, for who has no loop to wait on."""
        return self._run_analyzer(buffer)

    def voice_confidence(self, buffer: bytes) -> float:
        """The model's word on one window, between 0 and 1."""
        confidence = self._model.confidence(buffer) if self._scored is None else self._scored
        self._maybe_reset_model(confidence)
        return confidence

    async def cleanup(self) -> None:
        """The call is over."""
        self._together.leave(self)
        await super().cleanup()

    def _get_smoothed_volume(self, audio: bytes) -> float:  # noqa: ARG002
        # Telephone lines differ by 30 dB: a threshold on loudness only makes quiet people mute.
        return 1.0


class WindowsTogether:
    """Runs the session for all calls that have a window, a hundred times a second at most."""

    def __init__(self, session: InferenceSession) -> None:
        self.session = session
        self._calls: weakref.WeakSet[SharedSilero] = weakref.WeakSet()
        self._waiting: dict[SharedSilero, None] = {}
        self._timer: asyncio.Handle | None = None
        self._windows = np.empty((MOST_AT_ONCE, CONTEXT + WINDOW), np.float32)
        self._states = np.empty((2, MOST_AT_ONCE, 128), np.float32)

    def add(self, call: SharedSilero) -> None:
        """A call has a window (or several)."""
        self._calls.add(call)
        self._waiting[call] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait = GATHER_SECONDS if len(self._calls) > FEW_CALLS else 0.0
            self._timer = loop.call_later(wait, self._look)

    def leave(self, call: SharedSilero) -> None:
        """Its call is over."""
        self._calls.discard(call)
        self._waiting.pop(call, None)

    def _look(self) -> None:
        self._timer = None
        while self._waiting:
            calls = list(self._waiting)[:MOST_AT_ONCE]
            for call in calls:
                del self._waiting[call]
            # Some of it may have been looked at by `analyze` in the meantime.
            calls = [call for call in calls if call.has_window]
            if calls:
                self._run(calls)

    def _run(self, calls: list[SharedSilero]) -> None:
        count = len(calls)
        for index, call in enumerate(calls):
            window, state = call.show()
            self._windows[index] = window[0]
            self._states[:, index] = state[:, 0]
        inputs = {"input": self._windows[:count], "state": self._states[:, :count], "sr": _RATE}
        out, states = self.session.run(None, inputs)
        for index, call in enumerate(calls):
            try:
                call.see(float(out[index, 0]), states[:, index : index + 1].copy())
            except Exception:  # noqa: BLE001 - the others' windows must not wait for it
                _log.exception("voice_activity_failed")
            if call.has_window:  # a line that was late brings several at once
                self._waiting[call] = None
