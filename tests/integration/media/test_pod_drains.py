"""A pod that is taken out of work: what it does with its calls."""

import asyncio
from collections.abc import Callable

import pytest

from calls import make_call, record_of, socket_url
from conftest import RunningPod
from media_line import open_line
from outdial.routing.pod_registry import Heartbeat, ask_to_drain, beat
from outdial.routing.slot_reservation import Slot, holder, rebuild
from outdial.settings import Settings
from outdial_sandbox.people.people import who_answers
from polling import until

pytestmark = pytest.mark.integration

Start = Callable[[Settings], asyncio.Future[RunningPod]]


async def test_a_call_that_outlasts_the_wait_goes_on_at_another_pod(
    start_pod: Start, media_settings: Settings
) -> None:
    short = media_settings.model_copy(update={"drain_seconds": 0.5})
    here = await start_pod(short)
    runtime = here.runtime
    await rebuild(runtime.redis, [])
    called = await make_call(runtime)
    person = who_answers("+12025550120").start(1)
    async with open_line(socket_url(runtime, called, here.pod.boot_id), person) as line:
        await line.agent_was_heard.wait()
        await beat(runtime.redis, Heartbeat("pod-2", "b2", "wss://x/pods/pod-2", 4), short)
        assert await ask_to_drain(runtime.redis, "pod-1")
        async with asyncio.timeout(15):
            await line.closed.wait()
    assert line.ended_by == "agent"  # the socket is closed; Twilio asks what comes next
    attempt = (await record_of(runtime, called.attempt_id)).attempt
    assert (attempt.stream_no, attempt.plan) == (2, "conversation")
    slot = await holder(runtime.redis, called.attempt_id)
    assert isinstance(slot, Slot)
    assert slot.pod_id == "pod-2"


async def test_without_room_elsewhere_the_call_is_left_to_talk(
    start_pod: Start, media_settings: Settings
) -> None:
    short = media_settings.model_copy(update={"drain_seconds": 0.2})
    here = await start_pod(short)
    runtime = here.runtime
    await rebuild(runtime.redis, [])
    called = await make_call(runtime)
    person = who_answers("+12025550120").start(1)
    async with open_line(socket_url(runtime, called, here.pod.boot_id), person) as line:
        await line.agent_was_heard.wait()
        assert await ask_to_drain(runtime.redis, "pod-1")
        await until(lambda: not here.pod.is_ready)
        await here.pod.drain(1)
        assert not line.closed.is_set()
        assert (await record_of(runtime, called.attempt_id)).attempt.stream_no == 1
