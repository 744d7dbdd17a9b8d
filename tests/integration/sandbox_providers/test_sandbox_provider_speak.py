"""Deepgram's voice as its own client sees it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets

from outdial_sandbox.people.voice import synthesise
from providers_world import KEY

pytestmark = pytest.mark.integration


async def speak_socket(host: str, **query: str) -> websockets.ClientConnection:
    options = {"model": "aura-2-thalia-en", "encoding": "linear16", "sample_rate": "8000", **query}
    path = "&".join(f"{name}={value}" for name, value in options.items())
    return await websockets.connect(f"ws://{host}/v1/speak?{path}", additional_headers=KEY)


async def until(connection: websockets.ClientConnection, kind: str) -> AsyncIterator[bytes | Any]:
    """Messages, up to one of a kind."""
    async with asyncio.timeout(20):
        async for message in connection:
            parsed = message if isinstance(message, bytes) else json.loads(message)
            yield parsed
            if isinstance(parsed, dict) and parsed["type"] == kind:
                return


async def test_speak_gives_audio_then_flushed(host: str) -> None:
    async with await speak_socket(host) as connection:
        started = time.monotonic()
        await connection.send(json.dumps({"type": "Speak", "text": "Hello, this is Ada. "}))
        await connection.send(json.dumps({"type": "Speak", "text": "Can you make it?"}))
        await connection.send(json.dumps({"type": "Flush"}))
        messages = [m async for m in until(connection, "Flushed")]
        took = time.monotonic() - started
    assert messages[0]["type"] == "Metadata"
    assert messages[-1] == {"type": "Flushed", "sequence_id": 0}
    audio = b"".join(m for m in messages if isinstance(m, bytes))
    seconds = len(audio) / 16000
    assert 1.5 < seconds < 4.0
    assert took < seconds, "faster than it is heard"


async def test_speak_waits_for_the_end_of_a_sentence(host: str) -> None:
    async with await speak_socket(host) as connection:
        for token in ("Hel", "lo the", "re my fri", "end"):
            await connection.send(json.dumps({"type": "Speak", "text": token}))
        await connection.send(json.dumps({"type": "Flush"}))
        pieces = [m async for m in until(connection, "Flushed") if isinstance(m, bytes)]
    seconds = len(b"".join(pieces)) / 16000
    whole = len(synthesise("Hello there my friend", "en-us+f4")) / 8000
    assert seconds == pytest.approx(whole + 0.15, abs=0.05), "one sentence, not four"


async def test_speak_honours_encoding_and_rate(host: str) -> None:
    async def length(**query: str) -> float:
        async with await speak_socket(host, **query) as connection:
            await connection.send(json.dumps({"type": "Speak", "text": "Good morning."}))
            await connection.send(json.dumps({"type": "Flush"}))
            pieces = [m async for m in until(connection, "Flushed") if isinstance(m, bytes)]
        return len(b"".join(pieces))

    narrow = await length()
    assert await length(encoding="mulaw") == narrow / 2
    assert await length(sample_rate="24000") == pytest.approx(narrow * 3, rel=0.05)


async def test_clear_stops_what_was_not_sent(host: str) -> None:
    async with await speak_socket(host) as connection:
        long = " ".join(["This is a sentence that takes its time."] * 40)
        await connection.send(json.dumps({"type": "Speak", "text": long}))
        await connection.send(json.dumps({"type": "Clear"}))
        before = [m async for m in until(connection, "Cleared")]
        await connection.send(json.dumps({"type": "Speak", "text": "Yes."}))
        await connection.send(json.dumps({"type": "Flush"}))
        after = [m async for m in until(connection, "Flushed") if isinstance(m, bytes)]
    assert before[-1]["type"] == "Cleared"
    heard = len(b"".join(m for m in before if isinstance(m, bytes))) / 16000
    assert heard < 60
    assert len(b"".join(after)) / 16000 < 1.5, "only what was said after the Clear"


async def test_close_finishes_and_closes(host: str) -> None:
    async with await speak_socket(host) as connection:
        await connection.send(json.dumps({"type": "Speak", "text": "Goodbye"}))
        await connection.send(json.dumps({"type": "Close"}))
        messages = [m async for m in until(connection, "never")]
        await connection.wait_closed()
    assert connection.close_code == 1000
    assert any(isinstance(m, bytes) for m in messages)


async def test_an_unknown_message_is_a_warning(host: str) -> None:
    async with await speak_socket(host) as connection:
        await connection.send("nonsense")
        warnings = [m async for m in until(connection, "Warning")]
    assert warnings[-1]["type"] == "Warning"


async def test_speak_by_post(host: str) -> None:
    query = {"model": "aura-2-apollo-en", "encoding": "mulaw", "sample_rate": "8000"}
    async with httpx.AsyncClient(base_url=f"http://{host}", headers=KEY) as client:
        answer = await client.post("/v1/speak", params=query, json={"text": "Good morning."})
        assert answer.status_code == 200
        assert answer.headers["dg-model-name"] == "aura-2-apollo-en"
        assert 0.5 < len(answer.content) / 8000 < 2
        assert (await client.post("/v1/speak", json={})).status_code == 400
