"""Sound that was sent goes no further in the pipeline, nor does word of it."""

import pytest
from pipecat.frames.frames import BotSpeakingFrame, Frame, OutputAudioRawFrame, TTSStoppedFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_output import BaseOutputTransport

from outdial_media.phone_output import PhoneOutput
from outdial_media.telephone_line import TelephoneLine
from outdial_media.twilio_frames import SAMPLE_RATE

pytestmark = pytest.mark.unit


async def test_nobody_behind_the_line_is_handed_what_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pushed: list[Frame] = []

    async def push(_self: object, frame: Frame, _direction: FrameDirection) -> None:
        pushed.append(frame)

    monkeypatch.setattr(BaseOutputTransport, "push_frame", push)
    output = PhoneOutput(TelephoneLine())
    ended = TTSStoppedFrame()
    await output.push_frame(OutputAudioRawFrame(bytes(640), SAMPLE_RATE, 1))
    await output.broadcast_frame(BotSpeakingFrame)
    await output.push_frame(ended)
    assert pushed == [ended]
