"""Deepgram's recogniser as its own client sees it: the SDK, and the socket underneath."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import websockets
from deepgram.core.events import EventType

from outdial_sandbox.carrier import mulaw
from outdial_sandbox.people.voice import Samples, synthesise
from providers_world import KEY, deepgram, free_port, start_providers

pytestmark = pytest.mark.integration


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
