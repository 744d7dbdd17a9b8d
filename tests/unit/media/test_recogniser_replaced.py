"""A recogniser's new connection hears what has no transcript yet, and is asked for it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from outdial.domain.call_template import Agent, CallTemplate
from outdial.settings import Settings
from outdial_media.phone_stt import PhoneSTT
from outdial_media.speech_services import SpeechServices

pytestmark = pytest.mark.unit

FRAME = 640  # bytes: 40 ms


class Connection:
    """What a connection was sent."""

    def __init__(self, *, broken: bool = False) -> None:
        self.heard = b""
        self.finalized = 0
        self.broken = broken

    async def send_media(self, pcm: bytes) -> None:
        if self.broken:
            raise ConnectionError
        self.heard += pcm

    async def send_finalize(self, _message: Any) -> None:
        self.finalized += 1


@pytest.fixture
async def hearing() -> AsyncIterator[PhoneSTT]:
    services = SpeechServices(Settings(_env_file=None, deepgram_api_key="d", groq_api_key="g"))
    yield services.hearing(CallTemplate("x", Agent("Ada", "Hello.", "Talk.")))
    await services.close()


async def say(hearing: PhoneSTT, *numbers: int) -> bytes:
    """Frames, each of one number; all of them."""
    pieces = [bytes([number]) * FRAME for number in numbers]
    for piece in pieces:
        async for _ in hearing.run_stt(piece):
            pass
    return b"".join(pieces)


def connect(hearing: PhoneSTT, connection: Connection | None) -> None:
    hearing._connection = connection


async def test_what_was_said_to_nobody_is_heard_by_the_next_one(hearing: PhoneSTT) -> None:
    hearing._person_speaks = True
    said = await say(hearing, 1, 2)
    connect(hearing, first := Connection())
    said += await say(hearing, 3, 4)
    assert first.heard == said
    assert first.finalized == 0, "the person still speaks"
    connect(hearing, second := Connection())
    said += await say(hearing, 5)
    assert second.heard == said


async def test_a_transcript_that_was_owed_is_asked_for_again(hearing: PhoneSTT) -> None:
    connect(hearing, Connection())
    hearing._person_speaks = True
    said = await say(hearing, 1, 2)
    hearing._person_speaks, hearing._transcript_owed = False, True
    hearing.request_finalize()  # and the connection is lost without an answer
    connect(hearing, second := Connection())
    said += await say(hearing, 3)
    assert second.heard == said
    assert second.finalized == 1
    assert hearing._unanswered == 1, "nobody waits for what the lost one was asked"


async def test_a_connection_that_breaks_takes_nothing_with_it(hearing: PhoneSTT) -> None:
    hearing._person_speaks = True
    connect(hearing, Connection(broken=True))
    said = await say(hearing, 1)
    assert hearing._connection is None
    said += await say(hearing, 2)
    connect(hearing, second := Connection())
    said += await say(hearing, 3)
    assert second.heard == said


async def test_a_connection_that_takes_no_sound_holds_up_nobody(
    hearing: PhoneSTT, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Connection):
        async def send_media(self, pcm: bytes) -> None:
            await asyncio.Event().wait()

    replaced: list[str] = []
    hearing.on_replaced = replaced.append

    async def replace() -> None:
        hearing._connection = None

    monkeypatch.setattr(hearing, "_replace_connection", replace)
    monkeypatch.setattr("outdial_media.phone_stt.SEND_SECONDS", 0.01)
    hearing._person_speaks = True
    connect(hearing, Full())
    said = await say(hearing, 1)
    assert replaced == ["it takes no sound"]
    connect(hearing, second := Connection())
    said += await say(hearing, 2)
    assert second.heard == said


async def test_silence_is_sent_in_larger_pieces_and_a_voice_hurries_it(hearing: PhoneSTT) -> None:
    connect(hearing, first := Connection())
    said = await say(hearing, 1)  # to a connection that is new, at once
    assert first.heard == said
    await say(hearing, 2, 3)
    assert first.heard == said, "80 ms of silence wait"
    hearing._person_speaks = True
    await say(hearing, 4)
    assert len(first.heard) == 4 * FRAME


async def test_what_waits_is_sent_before_it_is_asked_for(hearing: PhoneSTT) -> None:
    connect(hearing, first := Connection())
    await say(hearing, 1)
    await say(hearing, 2)
    await hearing.flush(0.01)
    assert len(first.heard) == 2 * FRAME
    assert first.finalized == 1
    await hearing.flush(0.01)
    assert len(first.heard) == 2 * FRAME, "an empty message would end the stream"


async def test_silence_is_not_kept(hearing: PhoneSTT) -> None:
    connect(hearing, Connection())
    await say(hearing, *[0] * 100)
    connect(hearing, second := Connection())
    await say(hearing, 1)
    assert len(second.heard) == 16000, "a second of it: voice is noticed late"


async def test_what_is_transcribed_is_not_heard_twice(hearing: PhoneSTT) -> None:
    connect(hearing, Connection())
    hearing._person_speaks = True
    said = await say(hearing, 1, 2, 3)
    covered = 0.08  # seconds: the first two
    hearing._unheard.heard_until(covered)
    connect(hearing, second := Connection())
    said += await say(hearing, 4)
    assert second.heard == said[2 * FRAME :]
