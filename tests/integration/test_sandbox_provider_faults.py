"""The providers' faults as clients see them, on the wire."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
import pytest
import websockets
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, BadRequestError, RateLimitError

from outdial_sandbox.people.voice import synthesise

pytestmark = pytest.mark.integration

TOOL = {
    "type": "function",
    "function": {
        "name": "opt_out",
        "parameters": {"type": "object", "properties": {"reason": {"type": "string"}}},
    },
}
PATIENCE = 5.0
SHORT = 0.5  # how long is waited for an answer that never comes


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "outdial_sandbox", "providers", "--port", str(port)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/sandbox/health").is_success:
                break
        time.sleep(0.05)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def set_faults(address: str, **faults: int) -> str:
    """A key whose next requests fail like this."""
    key = uuid.uuid4().hex
    answer = httpx.post(f"http://{address}/sandbox/settings", json={"key": key, "next": faults})
    assert answer.json()["next"] == faults
    return key


def model(address: str, key: str) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=f"http://{address}/openai/v1", max_retries=0)


async def ask(client: AsyncOpenAI, text: str = "hello", **more: Any) -> list[Any]:
    messages: Any = [{"role": "user", "content": text}]
    stream = await client.chat.completions.create(
        model="any", messages=messages, stream=True, **more
    )
    return [chunk async for chunk in stream]


def opened(address: str, key: str, path: str) -> Any:
    headers = {"Authorization": f"Token {key}"}
    return websockets.connect(f"ws://{address}{path}", additional_headers=headers)


SPEAK = "/v1/speak?encoding=linear16&sample_rate=8000"
LISTEN = "/v1/listen?encoding=linear16&sample_rate=8000"


async def test_the_model_refuses_as_groq_does(address: str) -> None:
    key = set_faults(address, model_429=1, model_500=1, model_refused=1)
    async with model(address, key) as client:
        with pytest.raises(APIConnectionError):
            await ask(client)
        with pytest.raises(RateLimitError) as limited:
            await ask(client)
        with pytest.raises(APIStatusError) as failed:
            await ask(client)
        assert await ask(client)
    assert limited.value.response.headers["retry-after"] == "2"
    assert limited.value.code == "rate_limit_exceeded"
    assert failed.value.status_code == 500


async def test_a_tool_fails_as_groq_says_it(address: str) -> None:
    key = set_faults(address, model_tool_use_failed=1, model_bad_arguments=1)
    async with model(address, key) as client:
        with pytest.raises(BadRequestError) as failed:
            await ask(client, "stop calling me", tools=[TOOL])
        chunks = await ask(client, "stop calling me", tools=[TOOL])
    assert failed.value.code == "tool_use_failed"
    assert "failed_generation" in failed.value.body  # type: ignore[operator]
    calls = [c.choices[0].delta.tool_calls for c in chunks if c.choices]
    arguments = next(call[0].function.arguments for call in calls if call)
    with pytest.raises(json.JSONDecodeError):
        json.loads(arguments)


async def test_the_model_hangs_and_breaks_off(address: str) -> None:
    key = set_faults(address, model_hang=1, model_hang_in_stream=1, model_cut=1)
    seen: list[Any] = []

    async def read(client: AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        async for chunk in stream:
            seen.append(chunk)

    async with model(address, key) as client:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SHORT):
                    await read(client)
        assert seen, "the second one began"
        with pytest.raises((httpx.HTTPError, APIConnectionError)):
            async with asyncio.timeout(PATIENCE):
                await read(client)


@pytest.mark.parametrize("path", [LISTEN, SPEAK], ids=["listen", "speak"])
async def test_handshakes_fail(address: str, path: str) -> None:
    kind = "listen" if path == LISTEN else "speak"
    key = set_faults(
        address,
        **{f"{kind}_refused": 1, f"{kind}_429": 1, f"{kind}_500": 1, f"{kind}_stalled": 1},
    )
    seen = []
    for _ in range(3):
        try:
            async with opened(address, key, path):
                pass
        except websockets.InvalidStatus as error:
            seen.append(error.response.status_code)
        except (websockets.InvalidMessage, OSError, EOFError):
            seen.append("refused")
    assert seen == ["refused", 429, 500]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT), opened(address, key, path):
            pass
    async with opened(address, key, path):
        pass


async def speak(address: str, key: str, seconds: float = PATIENCE) -> tuple[int, bool]:
    """Bytes of audio for one reply, and whether it was whole."""
    audio = 0
    async with opened(address, key, SPEAK) as line:
        await line.send(json.dumps({"type": "Speak", "text": "Hello, this is a longer sentence."}))
        await line.send(json.dumps({"type": "Flush"}))
        with suppress(TimeoutError, websockets.ConnectionClosedError):
            async with asyncio.timeout(seconds):
                async for message in line:
                    if isinstance(message, bytes):
                        audio += len(message)
                    elif json.loads(message)["type"] == "Flushed":
                        return audio, True
    return audio, False


async def test_a_voice_hangs_and_stops_in_the_middle(address: str) -> None:
    key = set_faults(address, speak_hang=1, speak_cut=1)
    assert await speak(address, key, SHORT) == (0, False)
    cut, whole = await speak(address, key)
    assert (cut, whole) == (8000, False)  # half a second
    audio, whole = await speak(address, key)
    assert whole
    assert audio > cut


async def listen(address: str, key: str, seconds: float = PATIENCE) -> str:
    """What is understood of a "yes"; raises what the socket raises."""
    said = np.concatenate([np.zeros(4000, np.int16), synthesise("Yes.", "en-us+f3", 160, 8000)])
    async with opened(address, key, LISTEN) as line:
        for at in range(0, len(said), 160):
            await line.send(said[at : at + 160].astype("<i2").tobytes())
        await line.send(bytes(16000))
        await line.send(json.dumps({"type": "Finalize"}))
        async with asyncio.timeout(seconds):
            async for message in line:
                result = json.loads(message)
                if result.get("is_final"):
                    return str(result["channel"]["alternatives"][0]["transcript"])
    raise EOFError


async def test_listening_hangs_and_is_cut_off_as_somebody_speaks(address: str) -> None:
    key = set_faults(address, listen_hang=1, listen_cut=1)
    with pytest.raises(TimeoutError):
        await listen(address, key, SHORT)
    with pytest.raises((websockets.ConnectionClosedError, EOFError)):
        await listen(address, key)
    assert await listen(address, key)


def test_what_does_not_fit_is_refused_by_name(address: str) -> None:
    answer = httpx.post(f"http://{address}/sandbox/settings", json={"next": {"model_503": 1}})
    assert answer.status_code == 422
    assert "model_503" in answer.json()["error"]
