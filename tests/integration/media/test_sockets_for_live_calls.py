"""A pod with few sockets to Deepgram: what rings waits with less, what is answered is served."""

import asyncio
from asyncio import Future
from collections.abc import Callable

import pytest

from calls import closed_record, make_call, socket_url
from conftest import RunningPod
from media_line import open_line
from outdial.routing.slot_reservation import Slot, rebuild, reserve
from outdial.settings import Settings
from outdial_sandbox.people.people import who_answers
from polling import until

pytestmark = pytest.mark.integration


async def test_a_phone_that_rings_without_sockets_is_connected_when_it_is_answered(
    start_pod: Callable[[Settings], Future[RunningPod]], media_settings: Settings
) -> None:
    few = media_settings.model_copy(update={"pod_slots": 8, "provider_sockets": 4})
    running = await start_pod(few)
    pod, sockets = running.pod, running.pod._sockets
    assert pod._describe().slots == 2
    await rebuild(running.runtime.redis, [])
    called = [await make_call(running.runtime) for _ in range(2)]
    for call in called:
        held = await reserve(running.runtime.redis, call.attempt_id, 60)
        assert isinstance(held, Slot)
    work = pod._preparation._work
    await until(lambda: len(work) == 2 and all(task.done() for task in work.values()), 30)
    assert sockets.taken == 2  # one of them; the other two stay for calls that come unprepared

    light = next(call for call in called if call.attempt_id not in sockets._prepared)
    person = who_answers("+12025550100").start(1)
    async with open_line(socket_url(running.runtime, light, pod.boot_id), person) as line:
        await until(lambda: sockets.taken == 4, 20)
        async with asyncio.timeout(90):
            await line.closed.wait()
    record = await closed_record(running.runtime, light.attempt_id)
    assert "record_outcome" in [call.name for call in record.tools], record.turns
    await until(lambda: sockets.taken == 2, 20)
