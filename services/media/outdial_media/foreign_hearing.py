"""A recogniser of any other service of pipecat 1.14 in a call.

It hears what the person says at the rate it wants, tells what it heard, and is waited for at the
end. A connection that is lost is the service's own business (pipecat connects anew): what was said
meanwhile is not heard again, as it is with `phone_stt.py`.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.stt_service import STTService

from outdial_media.pipecat_services import close_client
from outdial_media.shared_tls import SharesTls
from outdial_media.sound_taker import TakesSound
from outdial_media.twilio_frames import SAMPLE_RATE

if TYPE_CHECKING:
    _Base = STTService
else:
    _Base = object


class HearsOn(TakesSound, _Base):
    """Put before an STTService among a class's bases."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._audio_passthrough = False  # others are told by themselves
        self._resampler = create_stream_resampler()
        self._all_heard = asyncio.Event()
        self._all_heard.set()
        self.on_heard: Callable[[TranscriptionFrame], None] = lambda _: None
        """Called with every final transcript, before the pipeline sees it."""
        self.on_replaced: Callable[[str], None] = lambda _error: None
        """The service has erred, and goes on: why."""

    async def flush(self, seconds: float) -> None:
        """Wait until what was said has a transcript; `seconds` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._all_heard.wait()

    async def cleanup(self) -> None:
        """Let go of everything."""
        await super().cleanup()
        await close_client(self)

    async def take_sound(self, pcm: bytes) -> None:
        """20 ms of 16-bit PCM."""
        frame = InputAudioRawFrame(pcm, SAMPLE_RATE, 1)
        await self.process_audio_frame(frame, FrameDirection.DOWNSTREAM)

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None:
        """Give the service sound at its own rate."""
        if self.sample_rate != frame.sample_rate:
            audio = await self._resampler.resample(frame.audio, frame.sample_rate, self.sample_rate)
            if not audio:
                return  # the resampler keeps the first pieces back
            frame = InputAudioRawFrame(audio, self.sample_rate, 1)
        await super().process_audio_frame(frame, direction)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Notice when there is something to transcribe."""
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._all_heard.clear()
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and not self.is_usable:
            self._all_heard.set()

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Tell of what was heard, and let no interruption throw it away (see `PhoneSTT`)."""
        if isinstance(frame, TranscriptionFrame):
            frame.interruptible = False
            self._all_heard.set()
            self.on_heard(frame)
        await super().push_frame(frame, direction)

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """Record an error that the service survives; one that it does not ends the call."""
        await super().push_error_frame(error, force_treat_as_permanent)
        if self.is_usable:
            self.on_replaced(error.error)


def hearing_class(cls: type[Any]) -> type[HearsOn]:
    """The service as a call's recogniser."""
    return type(f"Phone{cls.__name__}", (HearsOn, SharesTls, cls), {})
