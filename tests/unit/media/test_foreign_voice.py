"""A voice of another service: at the telephone's rate, never silent for long, and ahead of time."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
)
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.tests.utils import SleepFrame, run_test

from outdial_media.foreign_voice import once_class, speak_once, speaking_class
from outdial_media.spare_voice import VoiceLost
from outdial_media.twilio_frames import SAMPLE_RATE

pytestmark = pytest.mark.unit

RATE = 24000
SPARE = b"\x02\x20" * 800


class Http(TTSService):
    """One request a text, answered at 24 kHz: a second of a tone."""

    def __init__(self, behaves: str) -> None:
        super().__init__(
            sample_rate=RATE,
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice=None, language=None),
        )
        self.behaves = behaves

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        if self.behaves == "hangs":
            await asyncio.Event().wait()
        if self.behaves == "errs":
            yield ErrorFrame(error="500")
            return
        tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.int16)
        for piece in np.array_split(tone, 10):
            yield TTSAudioRawFrame(piece.tobytes(), RATE, 1, context_id=context_id)


async def spoken(behaves: str) -> tuple[bytes, list[str]]:
    """The sound of a reply of one sentence, and why the spare spoke."""
    voice: Any = speaking_class(Http)(behaves)
    replaced: list[str] = []

    async def spare(_text: str) -> bytes:
        return SPARE

    voice.spare, voice.on_replaced, voice.silence_seconds = spare, replaced.append, 0.2
    frames = [
        LLMFullResponseStartFrame(),
        LLMTextFrame("Hello there."),
        LLMFullResponseEndFrame(),
        SleepFrame(1.0),
    ]
    down, _ = await run_test(voice, frames_to_send=frames)
    sound = [frame for frame in down if isinstance(frame, TTSAudioRawFrame)]
    assert {frame.sample_rate for frame in sound} == {SAMPLE_RATE}
    return b"".join(frame.audio for frame in sound), replaced


async def test_a_call_hears_it_at_the_telephones_rate() -> None:
    pcm, replaced = await spoken("works")
    samples = np.frombuffer(pcm, np.int16)
    assert 0.9 * SAMPLE_RATE < len(samples) <= 1.01 * SAMPLE_RATE
    middle = samples[2000:6000].astype(float)
    assert int(np.argmax(np.abs(np.fft.rfft(middle))) * SAMPLE_RATE / len(middle)) == 440
    assert replaced == []


@pytest.mark.parametrize("behaves", ["hangs", "errs"])
async def test_one_that_fails_is_replaced(behaves: str) -> None:
    pcm, replaced = await spoken(behaves)
    assert pcm == SPARE
    assert replaced


async def test_a_text_is_spoken_ahead_by_a_service_of_its_own() -> None:
    pcm = await speak_once(lambda: once_class(Http)("works"), "Hello there.")
    assert 0.9 * SAMPLE_RATE < len(pcm) / 2 <= 1.01 * SAMPLE_RATE


async def test_one_that_errs_ahead_of_time_is_lost() -> None:
    with pytest.raises(VoiceLost, match="500"):
        await speak_once(lambda: once_class(Http)("errs"), "Hello there.")
