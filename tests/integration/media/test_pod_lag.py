"""A pod whose loop is late takes no new calls, keeps what it promised, and comes back by itself."""

import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from calls import Called, make_call, socket_url
from conftest import RunningPod
from outdial.routing import slot_reservation
from polling import until

pytestmark = pytest.mark.integration


async def _status(pod: RunningPod, called: Called) -> int:
    url = socket_url(pod.runtime, called, pod.pod.boot_id)
    try:
        async with connect(url, compression=None):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_a_late_pod_takes_no_new_calls(pod: RunningPod) -> None:
    redis, preparation, overload = pod.runtime.redis, pod.pod._preparation, pod.pod._overload
    await slot_reservation.rebuild(redis, [])
    promised, stranger = await make_call(pod.runtime), await make_call(pod.runtime)
    slot = await slot_reservation.reserve(redis, promised.attempt_id, 60)
    assert isinstance(slot, slot_reservation.Slot)
    await until(lambda: preparation.attempts == [promised.attempt_id])

    await until(lambda: not overload.closed)
    time.sleep(1.2)  # noqa: ASYNC251 - the pod's loop is this one
    await until(lambda: overload.closed)
    assert await _status(pod, stranger) == 503
    assert await _status(pod, promised) == 101

    async def no_room() -> bool:
        time.sleep(0.2)  # noqa: ASYNC251 - it stays late
        return await slot_reservation.free_slots(redis) == 0

    await until(no_room)

    async def room() -> bool:
        return await slot_reservation.free_slots(redis) > 0

    await until(room)
    assert await _status(pod, stranger) == 101
