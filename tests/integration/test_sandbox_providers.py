"""Deepgram and Groq as their own clients see them: the SDKs, and the sockets underneath."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import groq
import httpx
import numpy as np
import pytest
import websockets
from deepgram import AsyncDeepgramClient
from deepgram.core import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from outdial_sandbox.carrier import mulaw
from outdial_sandbox.people.voice import Samples, synthesise

pytestmark = pytest.mark.integration

KEY = {"Authorization": "Token secret"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_providers(port: int, *flags: str) -> subprocess.Popen[bytes]:
    """The providers' process, once it answers."""
    command = [sys.executable, "-m", "outdial_sandbox", "providers", "--port", str(port), *flags]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/sandbox/health").status_code == 200:
                return process
        except httpx.TransportError:
            assert process.poll() is None, "the providers ended while starting"
            time.sleep(0.05)
    process.kill()
    raise AssertionError("the providers did not start")


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    port = free_port()
    process = start_providers(port, "--first-token-ms", "20", "--first-audio-ms", "10")
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def deepgram(host: str, key: str = "secret") -> AsyncDeepgramClient:
    ws, http = f"ws://{host}", f"http://{host}"
    places = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    return AsyncDeepgramClient(api_key=key, environment=places)


# --- listen -----------------------------------------------------------------------------------


def telephone(text: str, voice: str = "en-us", *, after: float = 1.0) -> Samples:
    """A quarter of a second of line, the text, and line again, through mu-law."""
    speech = synthesise(text, voice)
    line = np.concatenate([np.zeros(2000), speech, np.zeros(int(8000 * after))])
    line += np.random.default_rng(1).normal(0, 20, len(line))
    return mulaw.decode(mulaw.encode(line.astype(np.int16)))


@dataclass
class Results:
    """What the SDK delivered."""

    messages: list[Any] = field(default_factory=list)

    def finals(self) -> list[str]:
        return [
            m.channel.alternatives[0].transcript
            for m in self.messages
            if m.type == "Results" and m.is_final and m.channel.alternatives[0].transcript
        ]

    def of(self, kind: str) -> list[Any]:
        return [m for m in self.messages if m.type == kind]


async def listen(
    host: str, audio: Samples, *, encoding: str = "linear16", finalize: bool = False, **query: str
) -> Results:
    """Send audio as fast as the socket takes it, then close; what came back."""
    results = Results()
    options = {"model": "nova-3", "encoding": encoding, "sample_rate": "8000", **query}
    async with deepgram(host).listen.v1.connect(**options) as connection:  # type: ignore[arg-type]
        connection.on(EventType.MESSAGE, results.messages.append)
        listening = asyncio.create_task(connection.start_listening())
        for at in range(0, len(audio), 160):
            frame = audio[at : at + 160]
            await connection.send_media(
                mulaw.encode(frame) if encoding == "mulaw" else frame.tobytes()
            )
        if finalize:
            await connection.send_finalize()
        await connection.send_close_stream()
        async with asyncio.timeout(20):
            await listening
    return results


async def test_listen_hears_and_punctuates(host: str) -> None:
    results = await listen(host, telephone("Please call me tomorrow"), punctuate="true")
    assert results.finals() == ["Please call me tomorrow."]
    result = next(m for m in results.of("Results") if m.channel.alternatives[0].transcript)
    assert result.speech_final
    words = result.channel.alternatives[0].words
    assert [w.word for w in words] == ["please", "call", "me", "tomorrow"]
    assert words[0].start == pytest.approx(0.25, abs=0.15)
    assert words[-1].end <= 0.3 + len(synthesise("Please call me tomorrow")) / 8000
    assert len(results.of("Metadata")) == 1


async def test_listen_gives_bare_words_unless_asked(host: str) -> None:
    assert (await listen(host, telephone("Stop calling me"))).finals() == ["stop calling me"]


async def test_listen_takes_mulaw(host: str) -> None:
    results = await listen(host, telephone("Yes that is right"), encoding="mulaw")
    assert results.finals() == ["yes that is right"]


async def test_listen_takes_16_kilohertz(host: str) -> None:
    audio = np.repeat(telephone("Yes that is right"), 2)
    assert (await listen(host, audio, sample_rate="16000")).finals() == ["yes that is right"]


async def test_finalize_is_answered_at_once_and_says_so(host: str) -> None:
    audio = telephone("Yes", after=0.3)
    results = await listen(host, audio, finalize=True)
    (answer,) = [m for m in results.of("Results") if m.from_finalize]
    assert answer.is_final
    assert answer.channel.alternatives[0].transcript == "yes"


async def test_finalize_without_speech_is_empty(host: str) -> None:
    results = await listen(host, np.zeros(8000, np.int16), finalize=True)
    (answer,) = [m for m in results.of("Results") if m.from_finalize]
    assert answer.channel.alternatives[0].transcript == ""


async def test_interim_results_come_before_the_final_one(host: str) -> None:
    results = await listen(host, telephone("Stop calling me"), interim_results="true")
    kinds = [m.is_final for m in results.of("Results") if m.channel.alternatives[0].transcript]
    assert kinds == [False, True]


async def test_two_utterances_are_two_results(host: str) -> None:
    audio = np.concatenate([telephone("Yes that is right"), telephone("Okay goodbye")])
    assert (await listen(host, audio)).finals() == ["yes that is right", "okay goodbye"]


async def test_endpointing_joins_what_a_short_pause_parts(host: str) -> None:
    audio = np.concatenate(
        [telephone("Let me think about it", after=0.2), telephone("Yes I can confirm that")]
    )
    results = await listen(host, audio, endpointing="900")
    assert results.finals() == ["let me think about it yes i can confirm that"]


async def test_speech_events_and_utterance_end(host: str) -> None:
    results = await listen(
        host, telephone("Stop calling me"), vad_events="true", utterance_end_ms="1000"
    )
    assert len(results.of("SpeechStarted")) == 1
    assert len(results.of("UtteranceEnd")) == 1


async def test_listen_closes_a_silent_socket() -> None:
    port = free_port()
    process = start_providers(port)
    url = f"ws://127.0.0.1:{port}/v1/listen?encoding=linear16&sample_rate=8000"
    try:
        async with (
            websockets.connect(url, additional_headers=KEY) as quiet,
            websockets.connect(url, additional_headers=KEY) as kept,
        ):
            for _ in range(4):
                await kept.send('{"type":"KeepAlive"}')
                await asyncio.wait([asyncio.ensure_future(quiet.wait_closed())], timeout=3.0)
            assert quiet.close_code == 1011
            assert "NET-0001" in (quiet.close_reason or "")
            assert kept.close_code is None
    finally:
        process.terminate()
        process.wait(10)


async def test_many_at_once(host: str) -> None:
    texts = ["Please call me tomorrow", "Stop calling me", "You have the wrong number"] * 4
    found = await asyncio.gather(*(listen(host, telephone(t, "en-us+f1")) for t in texts))
    assert [r.finals() for r in found] == [[t.lower()] for t in texts]


async def test_a_missing_key_and_a_bad_format_refuse_the_handshake(host: str) -> None:
    for path in ("/v1/listen", "/v1/speak"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://{host}{path}?encoding=linear16&sample_rate=8000")
        assert refused.value.response.status_code == 401
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://{host}{path}?encoding=opus", additional_headers=KEY)
        assert refused.value.response.status_code == 400
        assert "opus" in refused.value.response.headers["dg-error"]


async def test_a_configured_key_is_the_only_one() -> None:
    port = free_port()
    process = start_providers(port, "--deepgram-key", "right", "--groq-key", "right")
    try:
        with pytest.raises(ApiError) as refused:
            async with deepgram(f"127.0.0.1:{port}", "wrong").listen.v1.connect(model="nova-3"):
                pass
        assert refused.value.status_code == 401
        with pytest.raises(groq.AuthenticationError):
            groq.Groq(api_key="wrong", base_url=f"http://127.0.0.1:{port}").models.list()
        assert groq.Groq(api_key="right", base_url=f"http://127.0.0.1:{port}").models.list().data
    finally:
        process.terminate()
        process.wait(10)


def processes_of_group(group: int) -> list[str]:
    listing = subprocess.run(
        ["ps", "-eo", "pgid,stat,cmd"], check=True, capture_output=True, text=True
    )
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()[1:]]
    return [row[2] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


def test_no_recogniser_outlives_a_killed_server() -> None:
    port = free_port()
    command = [sys.executable, "-m", "outdial_sandbox", "providers", "--port", str(port)]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(processes_of_group(process.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    deadline = time.monotonic() + 10
    while (left := processes_of_group(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


# --- speak ------------------------------------------------------------------------------------


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


async def test_projects_need_a_key(host: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://{host}") as client:
        refused = await client.get("/v1/projects")
        assert (refused.status_code, refused.json()["err_code"]) == (401, "INVALID_AUTH")
        assert (await client.get("/v1/projects", headers=KEY)).json()["projects"]


# --- chat -------------------------------------------------------------------------------------

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "record_outcome",
            "parameters": {
                "type": "object",
                "properties": {
                    "status": {"type": "string", "enum": ["confirmed", "declined", "reschedule"]},
                    "note": {"type": "string"},
                },
                "required": ["status"],
            },
        },
    },
    {"type": "function", "function": {"name": "end_call", "parameters": {"type": "object"}}},
]
ASKED: list[Any] = [
    {"role": "system", "content": "You are Ada. Ask whether they come to the appointment."},
    {"role": "assistant", "content": "Can you make it?"},
]


def test_chat_streams_a_tool_call_as_groq_does(host: str) -> None:
    client = groq.Groq(api_key="k", base_url=f"http://{host}")
    said = [*ASKED, {"role": "user", "content": "Yes, that is right."}]
    chunks = list(
        client.chat.completions.create(
            model="openai/gpt-oss-120b",
            messages=said,
            tools=TOOLS,
            stream=True,
            extra_body={"stream_options": {"include_usage": True}},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].x_groq is not None
    calls = [c.choices[0].delta.tool_calls for c in chunks if c.choices]
    (call,) = [call for found in calls if found for call in found]
    assert call.function is not None
    assert call.function.name == "record_outcome"
    assert json.loads(call.function.arguments or "") == {"status": "confirmed"}
    assert chunks[-2].choices[0].finish_reason == "tool_calls"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None


def test_chat_speaks_word_by_word(host: str) -> None:
    client = groq.Groq(api_key="k", base_url=f"http://{host}")
    said = [*ASKED, {"role": "user", "content": "Could you say that again?"}]
    stream = client.chat.completions.create(model="m", messages=said, stream=True)
    pieces = [c.choices[0].delta.content for c in stream if c.choices and c.choices[0].delta]
    words = [piece for piece in pieces if piece]
    assert len(words) > 5
    assert "".join(words).startswith("Of course.")


def test_chat_answers_whole(host: str) -> None:
    client = groq.Groq(api_key="k", base_url=f"http://{host}")
    said = [*ASKED, {"role": "user", "content": "No, I am afraid not."}]
    answer = client.chat.completions.create(model="m", messages=said, tools=TOOLS)
    (call,) = answer.choices[0].message.tool_calls or []
    assert answer.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments)["status"] == "declined"


def test_chat_refuses_what_groq_refuses(host: str) -> None:
    with httpx.Client(base_url=f"http://{host}") as client:
        assert client.get("/openai/v1/models").status_code == 401
        bearer = {"Authorization": "Bearer k"}
        path = "/openai/v1/chat/completions"
        for body in (b"{", b"[]", b'{"model":"m"}', b'{"model":"m","messages":{"a":1}}'):
            answer = client.post(path, content=body, headers=bearer)
            assert answer.status_code == 400, body
            assert answer.json()["error"]["type"] == "invalid_request_error"
