"""Services of Pipecat that are not our own, named by a template: whole calls, by sound."""

import asyncio
import random
import socket
from asyncio import Future
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from calls import Record, closed_record, make_call, socket_url
from conftest import RunningPod
from media_line import open_line
from openai_world import KEY, OpenAI, openai_speech
from outdial.settings import Settings
from outdial_sandbox.people.people import who_answers

pytestmark = pytest.mark.integration

MODEL = {"service": "openai", "settings": {"model": "gpt-4.1", "base_url": "secret:MODELS"}}
VOICE = {"service": "openai", "settings": {"voice": "nova", "base_url": "secret:SPEECH"}}
EARS = {
    "service": "pipecat.services.openai.stt.OpenAISTTService",
    "settings": {"model": "whisper-1", "base_url": "secret:SPEECH"},
}


@pytest.fixture
async def openai(
    monkeypatch: pytest.MonkeyPatch, media_settings: Settings
) -> AsyncIterator[OpenAI]:
    """OpenAI's speech, and the sandbox's models as OpenAI's; the keys in the environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with openai_speech(port) as world:
        monkeypatch.setenv("OUTDIAL_VOICE_SECRET_OPENAI", KEY)
        monkeypatch.setenv("OUTDIAL_VOICE_SECRET_SPEECH", world.url)
        monkeypatch.setenv(
            "OUTDIAL_VOICE_SECRET_MODELS", f"{media_settings.groq_base_url}/openai/v1"
        )
        yield world


async def talk(pod: RunningPod, voice: dict[str, Any]) -> Record:
    """A call to somebody who talks and confirms."""
    called = await make_call(pod.runtime, voice=voice)
    person = who_answers("+12025550100").start(random.Random(1).randrange(100))
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), person) as line:
        async with asyncio.timeout(90):
            await line.closed.wait()
    return await closed_record(pod.runtime, called.attempt_id)


@pytest.mark.parametrize(
    ("voice", "does", "asked"),
    [
        ({"llm": MODEL}, "thinking", ""),
        ({"tts": VOICE}, "speaking", "speech"),
        ({"stt": EARS}, "hearing", "transcriptions"),
    ],
    ids=["llm", "tts", "stt"],
)
async def test_a_call_with_a_foreign_service_reaches_its_outcome(
    pod: RunningPod, openai: OpenAI, voice: dict[str, Any], does: str, asked: str
) -> None:
    record = await talk(pod, voice)

    assert record.said("agent"), record.turns
    assert "record_outcome" in [call.name for call in record.tools], record.turns
    assert record.event("provider_failed") is None
    # On a busy machine the others may be late; the one that is tried here did its own work.
    replaced = [e.payload for e in record.events if e.kind == "provider_replaced"]
    assert does not in {payload["provider"] for payload in replaced}, replaced
    assert not asked or openai.asked[asked]
    assert openai.rates <= {8000}
    assert openai.keys <= {KEY}


async def test_when_a_foreign_model_and_voice_fail_others_do_their_work(
    start_pod: Callable[[Settings], Future[RunningPod]],
    media_settings: Settings,
    openai: OpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OUTDIAL_VOICE_SECRET_MODELS", "http://127.0.0.1:9/v1")
    openai.fails.add("speech")
    pod = await start_pod(media_settings)
    record = await talk(pod, {"llm": MODEL, "tts": VOICE, "second_tts": "aura-2-thalia-en"})

    replaced = {e.payload["provider"] for e in record.events if e.kind == "provider_replaced"}
    assert replaced >= {"thinking", "speaking"}
    assert "record_outcome" in [call.name for call in record.tools], record.turns
    assert record.event("provider_failed") is None
