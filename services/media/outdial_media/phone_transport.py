"""Pipecat's two ends of a `TelephoneLine` (pipecat 1.14).

Pipecat's own FastAPI transport needs a socket when it is built, does not hear marks, and hops
through a queue for every 20 ms of sound. These two are built before the phone rings.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pipecat.frames.frames import (
    CancelFrame,
    ControlFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMAssistantPushAggregationFrame,
    LLMFullResponseEndFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSStartedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from outdial_media import metrics
from outdial_media.playback import Playback, Speech
from outdial_media.telephone_line import TelephoneLine
from outdial_media.twilio_frames import SAMPLE_RATE

PARAMS = TransportParams(
    audio_in_enabled=True,
    audio_out_enabled=True,
    audio_in_sample_rate=SAMPLE_RATE,
    audio_out_sample_rate=SAMPLE_RATE,
    audio_out_10ms_chunks=4,
    audio_out_end_silence_secs=0,  # it would hold every ended call for two seconds
)


_FILLER_BYTES = 2 * SAMPLE_RATE * 40 // 1000  # 40 ms, as the rest is sent


@dataclass
class MarkFrame(ControlFrame):
    """Resolves `played` when all sound queued before it was heard (or never will be)."""

    played: asyncio.Future[bool] = field(default_factory=asyncio.Future)
    interruptible: bool = field(default=False, init=False)


@dataclass
class FillerFrame(ControlFrame):
    """Sound (16-bit PCM) that covers a wait: it is heard, and is no turn of the agent's."""

    pcm: bytes = b""


class PhoneInput(BaseInputTransport):
    """What the person says comes in here, and is handed to `listeners`, 20 ms at a time."""

    def __init__(self, line: TelephoneLine) -> None:
        super().__init__(PARAMS)
        self._line = line
        self._open = False
        self.listeners: Sequence[Callable[[bytes], Awaitable[None]]] = ()
        self.tap: Callable[[bytes], None] | None = None
        """Sees every sound before the pipeline does."""

    async def start(self, frame: StartFrame) -> None:
        """Begin to hear; what came early comes first."""
        await super().start(frame)
        self._open = True
        await self._line.listen(self._hear)

    async def stop(self, frame: EndFrame) -> None:
        """Hear nothing more."""
        self._open = False
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """Hear nothing more."""
        self._open = False
        await super().cancel(frame)

    async def _hear(self, pcm: bytes) -> None:
        if not self._open:
            return
        if self.tap is not None:
            self.tap(pcm)
        for hear in self.listeners:
            await hear(pcm)


class PhoneOutput(BaseOutputTransport):
    """What the agent says leaves the pipeline here; knows what of it was heard.

    The three callbacks are called on the loop and must not block.
    """

    def __init__(self, line: TelephoneLine) -> None:
        super().__init__(PARAMS)
        self._line = line
        self._playback = Playback()
        self._speech: Speech | None = None
        self._last: Speech | None = None
        self._new_words = False
        self._finished: deque[Speech] = deque(maxlen=8)
        self._cut: Speech | None = None
        self._cut_at = 0.0
        self.person_silent_since: float | None = None
        """When the person's last sound ended; None while they speak or before they did."""
        self.on_speech: Callable[[Speech], None] = lambda _: None
        """A turn's first sound was sent."""
        self.on_person: Callable[[bool, float], None] = lambda _speaking, _when: None
        """The person began (True) or stopped (False) to speak, and when."""

    async def start(self, frame: StartFrame) -> None:
        """Be ready to send."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    def finished_speech(self) -> Speech | None:
        """The oldest turn that was sent whole and not asked for yet."""
        return self._finished.popleft() if self._finished else None

    def cut_speech(self) -> tuple[Speech | None, float]:
        """The turn that was cut off last, and how many seconds of it were heard."""
        cut, self._cut = self._cut, None
        return cut, cut.heard_at(self._cut_at) if cut else 0.0

    def cut(self) -> None:
        """Note that what plays now is heard no further."""
        if self._speech is not None:
            self._cut, self._cut_at, self._speech = self._speech, time.monotonic(), None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Cut off what plays when the person interrupts; note when they speak."""
        if isinstance(frame, InterruptionFrame):
            self.cut()
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self.person_silent_since = None
            self.on_person(True, time.monotonic() - frame.start_secs)
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self.person_silent_since = time.monotonic() - frame.stop_secs
            self.on_person(False, self.person_silent_since)
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            self._playback.cleared()
            await self._line.clear()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Send sound, a little ahead of its playing and no further."""
        if not await self._line.send_sound(frame.audio):
            self.cut()  # the line is gone: what was to come is not heard
            return False
        seconds = len(frame.audio) / (2 * SAMPLE_RATE)
        now = time.monotonic()
        self._count(seconds, now)
        wait = self._playback.sent(seconds, now)
        await asyncio.sleep(wait)
        metrics.frame_lateness.observe(max(0.0, time.monotonic() - now - wait))
        return True

    async def write_transport_frame(self, frame: Frame) -> None:
        """Frames in line with the sound: marks, and the ends of turns."""
        if isinstance(frame, MarkFrame):
            await self._line.mark(frame.played)
        elif isinstance(frame, FillerFrame):
            await self._fill(frame.pcm)
        elif isinstance(frame, TTSStartedFrame):
            self._new_words = True
        elif isinstance(frame, LLMFullResponseEndFrame | LLMAssistantPushAggregationFrame):
            self._finish_speech()

    async def _fill(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), _FILLER_BYTES):
            piece = pcm[at : at + _FILLER_BYTES]
            if not await self._line.send_sound(piece):
                return
            seconds = len(piece) / (2 * SAMPLE_RATE)
            await asyncio.sleep(self._playback.sent(seconds, time.monotonic()))

    def _count(self, seconds: float, now: float) -> None:
        if self._speech is None and (self._new_words or self._last is None):
            self._new_words = False
            self._speech = self._last = self._begin_speech(now)
            self.on_speech(self._speech)
        speech = self._speech or self._last
        if speech is not None:  # pipecat sends the last bit of a turn after the turn's end
            speech.seconds += seconds

    def _begin_speech(self, now: float) -> Speech:
        speech = Speech(began=self._playback.ends_at(now))
        if self.person_silent_since is not None:
            speech.latency_ms = round(1000 * (now - self.person_silent_since))
            self.person_silent_since = None  # a second reply answers nothing new
        return speech

    def _finish_speech(self) -> None:
        if self._speech is not None:
            self._speech.complete = True
            self._finished.append(self._speech)
            self._speech = None
