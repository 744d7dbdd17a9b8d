"""A voice of any other service of pipecat 1.14: in a call, and for a text that is made ahead.

Whatever rate it speaks at, a call hears the telephone's. When it fails in a call, each text is
asked for by itself, and then of the second voice (`spare_voice.py`).
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.frames.frames import TTSStoppedFrame as Stopped
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.tts_service import TTSService

from outdial_media.pipecat_services import close_client
from outdial_media.pipeline_run import PipelineRun
from outdial_media.shared_tls import SharesTls
from outdial_media.spare_voice import SpeaksOn, VoiceLost
from outdial_media.twilio_frames import SAMPLE_RATE

QUIET_SECONDS = 1.0
"""Some services do not say that a text was spoken: so long without sound is its end."""

if TYPE_CHECKING:
    _Base = TTSService
else:
    _Base = object


class AtPhoneRate(_Base):
    """Put before a TTSService among a class's bases: its sound leaves at 8 kHz."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._to_phone = create_stream_resampler()

    async def cleanup(self) -> None:
        """Let go of everything."""
        await super().cleanup()
        await close_client(self)

    async def append_to_audio_context(self, context_id: str | None, frame: Any) -> None:
        """Resample what the service brings."""
        if isinstance(frame, TTSAudioRawFrame) and frame.sample_rate != SAMPLE_RATE:
            audio = await self._to_phone.resample(frame.audio, frame.sample_rate, SAMPLE_RATE)
            if not audio:
                return  # the resampler keeps the first pieces back
            frame = TTSAudioRawFrame(audio, SAMPLE_RATE, 1, context_id=frame.context_id)
        await super().append_to_audio_context(context_id, frame)


class InTime(_Base):
    """Put between `SpeaksOn` and a TTSService that brings its sound while it takes the text.

    Such a one (an HTTP request a text) that hangs would hold the whole reply.
    """

    silence_seconds: float
    _replies: dict[str, Any]

    async def _synthesize_text(self, text: str, context_id: str) -> None:
        work = asyncio.create_task(super()._synthesize_text(text, context_id))
        reply = self._replies.get(context_id)
        try:
            while not work.done():
                received = reply.received if reply is not None else 0
                await asyncio.wait({work}, timeout=self.silence_seconds)
                if not work.done() and (reply is None or reply.received == received):
                    break
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                if reply is not None:
                    reply.failed = True
        if not work.cancelled():
            work.result()


class ForeignVoice(AtPhoneRate, SpeaksOn):
    """Put before a TTSService among a class's bases: the voice of a call."""

    ends_quietly = True


def speaking_class(cls: type[Any]) -> type[ForeignVoice]:
    """The service as a call's voice."""
    return type(f"Phone{cls.__name__}", (ForeignVoice, InTime, SharesTls, cls), {})


def once_class(cls: type[Any]) -> type[Any]:
    """The service as `speak_once` wants it."""
    return type(f"Once{cls.__name__}", (AtPhoneRate, SharesTls, cls), {})


async def speak_once(make: Callable[[], Any], text: str) -> bytes:
    """16-bit PCM of `text` at 8 kHz, by a service of its own (of `once_class`).

    Raises:
        VoiceLost: it has erred, or said nothing.

    """
    heard = _Heard()
    worker = PipelineWorker(
        Pipeline([make(), heard]),
        params=PipelineParams(audio_out_sample_rate=SAMPLE_RATE),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
        cancel_timeout_secs=1.0,
    )
    worker.add_event_handler("on_pipeline_error", heard.on_error)
    run = PipelineRun(worker)
    try:
        await run.start()
        await worker.queue_frame(TTSSpeakFrame(text))
        await heard.all()
    finally:
        await run.tear_down()
    if heard.error or not heard.pcm:
        raise VoiceLost(heard.error or "it made no sound")
    return bytes(heard.pcm)


class _Heard(FrameProcessor):
    """The end of the pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self.pcm = bytearray()
        self.error = ""
        self._over = asyncio.Event()
        self._quiet: asyncio.TimerHandle | None = None

    async def all(self) -> None:
        """Wait for the end of the text, or of the service."""
        try:
            await self._over.wait()
        finally:
            self._stop_waiting()

    async def on_error(self, _worker: object, frame: ErrorFrame) -> None:
        """The service has erred."""
        self.error = frame.error
        self._over.set()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Collect."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.pcm += frame.audio
            self._stop_waiting()
            loop = asyncio.get_running_loop()
            self._quiet = loop.call_later(QUIET_SECONDS, self._over.set)
        elif isinstance(frame, Stopped) and self.pcm:
            self._over.set()
        await self.push_frame(frame, direction)

    def _stop_waiting(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
