"""How the conversation makes itself heard, and learns that it was."""

import asyncio
from typing import Any

from pipecat.frames.frames import (
    Frame,
    LLMAssistantPushAggregationFrame,
    LLMRunFrame,
    OutputDTMFFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from outdial_media.phone_transport import FillerFrame, MarkFrame
from outdial_media.pipeline import CallPipeline
from outdial_media.telephone_line import TelephoneLine
from outdial_media.twilio_frames import SAMPLE_RATE


class Voice:
    """Speech outside the model's own answers."""

    def __init__(self, pipeline: CallPipeline, line: TelephoneLine) -> None:
        self._pipeline = pipeline
        self._line = line

    async def say(self, text: str, *, to_the_end: bool = False) -> None:
        """Speak `text` after what is being said; `to_the_end`: nothing interrupts it."""
        frame = TTSSpeakFrame(text, append_to_context=True)
        frame.interruptible = not to_the_end
        await self._pipeline.worker.queue_frame(frame)

    async def play(self, text: str, pcm: bytes, *, to_the_end: bool = False) -> None:
        """Say `text`, whose sound is there already; `to_the_end`: nothing interrupts it."""
        # The text goes first: a greeting that is cut off must still be known to have begun.
        frames: list[Frame] = [
            TTSStartedFrame(),
            TTSTextFrame(text, "sentence"),
            TTSAudioRawFrame(pcm, SAMPLE_RATE, 1),
            TTSStoppedFrame(),
            LLMAssistantPushAggregationFrame(),
        ]
        for frame in frames:
            frame.interruptible = frame.interruptible and not to_the_end
            # Into the output: through the pipeline, the voice would speak the text once more.
            await self._pipeline.output.queue_frame(frame)

    async def fill(self, pcm: bytes) -> None:
        """Let sound be heard that is no part of what is being answered."""
        await self._pipeline.output.queue_frame(FillerFrame(pcm))

    async def press(self, digits: str) -> None:
        """Send keypad tones in the sound itself: a Twilio stream takes no other (pipecat 1.14)."""
        frame = OutputDTMFFrame.from_string(digits)
        frame.interruptible = False
        await self._pipeline.worker.queue_frame(frame)

    async def let_model_speak(self) -> None:
        """Have the model answer what stands in the context."""
        await self._pipeline.worker.queue_frame(LLMRunFrame())

    async def hush(self) -> None:
        """Stop what is being said or thought, now."""
        await self._pipeline.person.broadcast_interruption()

    async def played(self, seconds: float) -> bool:
        """Wait until everything said so far was heard; False if it was not, or not in time."""
        mark = MarkFrame()
        await self._pipeline.worker.queue_frame(mark)
        ended = asyncio.create_task(self._line.ended.wait())
        either: set[asyncio.Future[Any]] = {mark.played, ended}
        try:
            await asyncio.wait(either, timeout=seconds, return_when="FIRST_COMPLETED")
        finally:
            ended.cancel()
        return mark.played.done() and mark.played.result()
