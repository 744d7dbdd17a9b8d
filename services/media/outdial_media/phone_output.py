"""Where the agent's words leave the pipeline (pipecat 1.14), and what is known of their playing."""

import time
from collections import deque
from collections.abc import Callable

from pipecat.frames.frames import (
    BotSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMAssistantPushAggregationFrame,
    LLMFullResponseEndFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    StartFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_output import BaseOutputTransport

from outdial_media import metrics
from outdial_media.paced_sound import PacedSound
from outdial_media.phone_transport import PARAMS, FillerFrame, MarkFrame
from outdial_media.playback import Speech, seconds_of
from outdial_media.saying import Said, Saying, Sayings
from outdial_media.telephone_line import TelephoneLine
from outdial_media.twilio_frames import SAMPLE_RATE

_FILLER_BYTES = 2 * SAMPLE_RATE * 40 // 1000  # 40 ms, as the rest is sent
_GAP_SECONDS = 1.0
"""A voice that brings no sound for so long is not speaking, whatever it still has to say."""


class PhoneOutput(BaseOutputTransport):
    """What the agent says leaves the pipeline here; knows what of it was heard.

    The three callbacks are called on the loop and must not block.
    """

    def __init__(self, line: TelephoneLine) -> None:
        super().__init__(PARAMS)
        self._line = line
        self._sound = PacedSound(line)
        self._sayings = Sayings()
        self._last_said = Saying()
        self._speech: Speech | None = None
        self._last: Speech | None = None
        self._new_words = False
        self._finished: deque[Speech] = deque(maxlen=8)
        self._cut: Speech | None = None
        self._cut_at = 0.0
        self._covered_until = 0.0  # until then a filler plays
        self._whole_until = 0.0  # what plays until then is not to be broken off
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

    # The person's voice over the agent's (turn_start.py).

    def said_now(self) -> Said | None:
        """What the agent is saying; None in silence."""
        now, played_until = time.monotonic(), self._sound.ends_at(0.0)
        if self._speech is not None and now < played_until + _GAP_SECONDS:
            return Said(self._sayings.current, self._speech.heard_at(now))
        if now >= played_until:
            return None
        if self._covered_until == played_until:
            return Said(Saying(), 0.0)
        return Said(self._last_said, self._last_said.seconds)

    async def hold(self) -> Said | None:
        """Fall silent at once, able to go on; None where nothing is said, or it must be whole."""
        now = time.monotonic()
        said = self.said_now()
        if said is None or now < self._whole_until:
            return None
        if self._speech is not None:
            self._speech.hold(now)
        await self._sound.hold()
        return said

    @property
    def is_held(self) -> bool:
        """Whether what the agent says waits."""
        return self._sound.is_held

    async def go_on(self, *, from_pause: bool = True) -> None:
        """Say what was held, from a pause just before it, or from the very place."""
        if not self._sound.is_held:
            return
        speech = self._speech
        again = await self._sound.go_on(from_pause=from_pause)
        if speech is not None:
            speech.go_on(time.monotonic(), again)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Cut off what plays when the person interrupts; note when they speak."""
        if isinstance(frame, InterruptionFrame):
            self.cut()
            self._sayings.forget()
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self.person_silent_since = None
            self.on_person(True, time.monotonic() - frame.start_secs)
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self.person_silent_since = time.monotonic() - frame.stop_secs
            self.on_person(False, self.person_silent_since)
        else:
            self._coming(frame)
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            await self._sound.clear()

    def _coming(self, frame: Frame) -> None:
        if isinstance(frame, OutputAudioRawFrame):
            self._sayings.sound(len(frame.audio) / (2 * frame.sample_rate))
        elif isinstance(frame, TTSTextFrame):
            self._sayings.words(frame.text)
        elif isinstance(frame, TTSStoppedFrame):
            self._sayings.voice_stopped()
        elif isinstance(frame, LLMFullResponseEndFrame | LLMAssistantPushAggregationFrame):
            self._sayings.end()

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push everything but sound that was sent, and that it is being sent: nobody listens.

        pipecat 1.14 carries each piece on to the end, and five times a second through all.
        """
        if not isinstance(frame, OutputAudioRawFrame | BotSpeakingFrame):
            await super().push_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Send sound, a little ahead of its playing and no further."""
        if not await self._sound.may_go(interruptible=frame.interruptible):
            return False
        if self._line.is_open:
            self._count(seconds_of(frame.audio))
        if not (self._line.is_open and await self._sound.send(frame.audio)):
            self.cut()  # the line is gone: what was to come is not heard
            return False
        if not frame.interruptible:
            self._whole_until = self._sound.ends_at(time.monotonic())
        metrics.frame_lateness.observe(await self._sound.pace())
        return True

    async def write_dtmf(self, frame: OutputDTMFFrame | OutputDTMFUrgentFrame) -> None:
        """Send the tones of keys: one that was held and said again would be pressed twice."""
        self._whole_until = float("inf")
        try:
            await super().write_dtmf(frame)
        finally:
            self._whole_until = self._sound.ends_at(time.monotonic())

    async def write_transport_frame(self, frame: Frame) -> None:
        """Frames in line with the sound: marks, and the ends of turns."""
        if isinstance(frame, MarkFrame):
            await self._sound.mark(frame.played)
        elif isinstance(frame, FillerFrame):
            await self._fill(frame.pcm)
        elif isinstance(frame, TTSStartedFrame):
            self._new_words = True
        elif isinstance(frame, LLMFullResponseEndFrame | LLMAssistantPushAggregationFrame):
            self._finish_speech()

    async def _fill(self, pcm: bytes) -> None:
        cuts = self._sound.cuts
        for at in range(0, len(pcm), _FILLER_BYTES):
            if not await self._sound.may_go() or cuts != self._sound.cuts:
                return
            if not await self._sound.send(pcm[at : at + _FILLER_BYTES]):
                return
            self._covered_until = self._sound.ends_at(time.monotonic())
            await self._sound.pace()

    def _count(self, seconds: float) -> None:
        now = time.monotonic()
        if self._speech is None and (self._new_words or self._last is None):
            self._new_words = False
            self._speech = self._last = self._begin_speech(now)
            self.on_speech(self._speech)
        speech = self._speech or self._last
        if speech is not None:  # pipecat sends the last bit of a turn after the turn's end
            speech.seconds += seconds

    def _begin_speech(self, now: float) -> Speech:
        speech = Speech(began=self._sound.ends_at(now))
        if self.person_silent_since is not None:
            speech.latency_ms = round(1000 * (now - self.person_silent_since))
            self.person_silent_since = None  # a second reply answers nothing new
        return speech

    def _finish_speech(self) -> None:
        self._last_said = self._sayings.current
        self._sayings.sent()
        if self._speech is not None:
            self._speech.complete = True
            self._finished.append(self._speech)
            self._speech = None
