"""What the recogniser heard reaches the conversation, whatever happens meanwhile."""

import asyncio

import pytest
from pipecat.frames.frames import Frame, InterruptionFrame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.tests.utils import run_test

from outdial_media.phone_stt import PhoneSTT

pytestmark = pytest.mark.unit


class Busy(FrameProcessor):
    """Is interrupted by the person while it is at work on what they said first."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.interrupted = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            self.interrupted.set()
        if isinstance(frame, TranscriptionFrame):
            if not self.interrupted.is_set():
                await self.queue_frame(InterruptionFrame())
                await self.interrupted.wait()
            self.heard.append(frame.text)
        await self.push_frame(frame, direction)


async def as_pushed(monkeypatch: pytest.MonkeyPatch, *texts: str) -> list[Frame]:
    pushed: list[Frame] = []

    async def push(_self: object, frame: Frame, _direction: FrameDirection) -> None:
        pushed.append(frame)

    with monkeypatch.context() as patch:
        patch.setattr(DeepgramSTTService, "push_frame", push)
        hearing = object.__new__(PhoneSTT)
        hearing.on_heard = lambda _: None
        for text in texts:
            await hearing.push_frame(TranscriptionFrame(text, "", "now"))
    return pushed


async def test_an_interruption_drops_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Busy()
    words = await as_pushed(monkeypatch, "Hello?", "Stop calling me.")
    await run_test(busy, frames_to_send=words)
    assert busy.heard == ["Hello?", "Stop calling me."]
