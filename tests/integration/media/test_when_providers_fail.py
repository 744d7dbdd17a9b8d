"""Providers that do not answer: the call ends in words, and says in its record why."""

import asyncio
import random
from asyncio import Future
from collections.abc import Callable

import pytest

from calls import closed_record, make_call, socket_url
from conftest import RunningPod
from media_line import open_line
from outdial.settings import Settings
from outdial_sandbox.people.people import who_answers

pytestmark = pytest.mark.integration

NOBODY = "http://127.0.0.1:9"


async def test_without_a_model_the_agent_apologises_and_ends_the_call(
    start_pod: Callable[[Settings], Future[RunningPod]], media_settings: Settings
) -> None:
    pod = await start_pod(media_settings.model_copy(update={"groq_base_url": NOBODY}))
    called = await make_call(pod.runtime)
    person = who_answers("+12025550100").start(random.Random(1).randrange(100))
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), person) as line:
        async with asyncio.timeout(90):
            await line.closed.wait()
    record = await closed_record(pod.runtime, called.attempt_id)

    assert record.payload("provider_failed")["provider"] == "thinking"
    assert "technical problem" in record.said("agent")
    closing = record.payload("conversation_closed")
    assert (closing["ended_by"], closing["reason"]) == ("system", "provider_failed")


async def test_without_speech_services_the_call_ends_and_is_written(
    start_pod: Callable[[Settings], Future[RunningPod]], media_settings: Settings
) -> None:
    pod = await start_pod(media_settings.model_copy(update={"deepgram_base_url": NOBODY}))
    called = await make_call(pod.runtime)
    person = who_answers("+12025550111").start(1)
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), person) as line:
        async with asyncio.timeout(60):
            await line.closed.wait()
    record = await closed_record(pod.runtime, called.attempt_id)

    assert record.event("provider_failed") is not None
    assert record.payload("conversation_closed")["reason"] == "provider_failed"
