"""A recogniser that has transcribed all of a voice is not waited for once more."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from deepgram.listen.v1.types import ListenV1Results
from pipecat.frames.frames import (
    Frame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.deepgram.stt import DeepgramSTTService

from outdial.domain.call_template import Agent, CallTemplate
from outdial.settings import Settings
from outdial_media.phone_stt import PhoneSTT
from outdial_media.speech_services import SpeechServices
from outdial_media.turn_taking import AllHeardFrame
from outdial_media.unheard_audio import BYTES_A_SECOND

pytestmark = pytest.mark.unit

STOPPED = VADUserStoppedSpeakingFrame(stop_secs=0.25)


class Deepgram:
    """A connection, and what the pipeline is told of it."""

    def __init__(self, hearing: PhoneSTT, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hearing = hearing
        self.finalized = 0
        self.told: list[type[Frame]] = []
        hearing._connection = self

        async def push(
            _: Any, frame: Frame, __: FrameDirection = FrameDirection.DOWNSTREAM
        ) -> None:
            self.told.append(type(frame))

        async def upstream(_: Any, frame: Frame, __: FrameDirection) -> None:
            if isinstance(frame, VADUserStoppedSpeakingFrame):
                hearing.request_finalize()
                self.finalized += 1

        monkeypatch.setattr(PhoneSTT, "push_frame", push)
        monkeypatch.setattr(DeepgramSTTService, "process_frame", upstream)
        monkeypatch.setattr(hearing, "_wait_for_answer", lambda *_, **__: None)

    async def send_media(self, pcm: bytes) -> None:
        """It is heard."""

    async def hear(self, seconds: float) -> None:
        await self.hearing.take_sound(bytes(round(BYTES_A_SECOND * seconds)))

    async def voice(self, seconds: float) -> None:
        """So long a voice and the silence after which it has ended."""
        await self.see(VADUserStartedSpeakingFrame())
        await self.hear(seconds)
        await self.hear(STOPPED.stop_secs)

    async def see(self, frame: Frame) -> None:
        await self.hearing.process_frame(frame, FrameDirection.UPSTREAM)

    async def transcribes(
        self, begin: float, end: float, words: str, *, from_finalize: bool = False
    ) -> None:
        alternative = {"transcript": words, "confidence": 0.9, "words": []}
        result = {
            "type": "Results", "channel_index": [0, 1], "start": begin, "duration": end - begin,
            "is_final": True, "speech_final": not from_finalize, "from_finalize": from_finalize,
            "channel": {"alternatives": [alternative]},
            "metadata": {"request_id": "r", "model_info": {"name": "n", "version": "v",
                         "arch": "a"}, "model_uuid": "m"},
        }  # fmt: skip
        await self.hearing._on_message(ListenV1Results.model_validate(result))

    @property
    def says_all_is_heard(self) -> int:
        return self.told.count(AllHeardFrame)


class Another:
    """A new connection."""

    async def send_media(self, pcm: bytes) -> None:
        """It is heard."""

    async def send_finalize(self, message: object) -> None:
        """It is answered by hand."""


@pytest.fixture
async def deepgram(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Deepgram]:
    services = SpeechServices(Settings(_env_file=None, deepgram_api_key="d", groq_api_key="g"))
    yield Deepgram(services.hearing(CallTemplate("x", Agent("Ada", "Hi.", "Talk."))), monkeypatch)
    await services.close()


async def test_words_that_came_before_the_silence_was_over_are_all(deepgram: Deepgram) -> None:
    await deepgram.voice(1.0)
    await deepgram.transcribes(0.0, 1.02, "yes")
    assert not deepgram.says_all_is_heard, "the person may go on"
    await deepgram.see(STOPPED)
    assert deepgram.finalized == 1, "for what a line's noise may have hidden"
    assert deepgram.told == [TranscriptionFrame, AllHeardFrame]
    await deepgram.transcribes(1.02, 1.2, "")
    assert deepgram.says_all_is_heard == 1


async def test_words_that_come_soon_after_it_are_all(deepgram: Deepgram) -> None:
    await deepgram.voice(1.0)
    await deepgram.see(STOPPED)
    assert not deepgram.says_all_is_heard
    await deepgram.transcribes(0.0, 1.02, "yes")
    assert deepgram.told == [TranscriptionFrame, AllHeardFrame]


async def test_words_that_do_not_reach_the_voices_end_are_not_all(deepgram: Deepgram) -> None:
    await deepgram.voice(1.0)
    await deepgram.transcribes(0.0, 0.9, "I have")
    await deepgram.see(STOPPED)
    assert not deepgram.says_all_is_heard
    await deepgram.transcribes(0.9, 1.25, "time", from_finalize=True)
    assert deepgram.says_all_is_heard == 1


async def test_a_recogniser_that_heard_no_words_is_asked(deepgram: Deepgram) -> None:
    await deepgram.voice(1.0)
    await deepgram.see(STOPPED)
    assert not deepgram.says_all_is_heard


async def test_who_speaks_again_has_not_been_heard_yet(deepgram: Deepgram) -> None:
    await deepgram.voice(1.0)
    await deepgram.see(STOPPED)
    await deepgram.see(VADUserStartedSpeakingFrame())
    await deepgram.transcribes(0.0, 1.25, "yes")
    assert not deepgram.says_all_is_heard


async def test_the_words_before_say_nothing_of_the_next_voice(deepgram: Deepgram) -> None:
    await deepgram.voice(1.0)
    await deepgram.transcribes(0.0, 1.02, "yes")
    await deepgram.see(STOPPED)
    await deepgram.voice(0.5)
    await deepgram.see(STOPPED)
    assert deepgram.says_all_is_heard == 1


async def test_a_new_connection_counts_anew(deepgram: Deepgram) -> None:
    """What was sent to it again is a stream that begins at zero."""
    await deepgram.hear(1.0)
    await deepgram.voice(1.0)
    await deepgram.transcribes(0.0, 1.9, "I have")
    await deepgram.see(STOPPED)
    deepgram.hearing._connection = Another()
    await deepgram.hear(0.02)  # with 0.35 s that the first has not transcribed
    await deepgram.transcribes(0.0, 0.05, "ti")
    assert not deepgram.says_all_is_heard
    await deepgram.transcribes(0.05, 0.37, "me", from_finalize=True)
    assert deepgram.says_all_is_heard == 1
