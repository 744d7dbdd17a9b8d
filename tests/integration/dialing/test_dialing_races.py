"""Dispatchers and workers at once: one attempt a lead, one POST an attempt, no deadlock."""

import asyncio

import pytest

from dialing_world import FakeCarrier, World, in_parallel, pod, status
from outdial.operations.answer_dial_result import answer_dial_result
from outdial.operations.claim_due_leads import dispatch
from outdial.operations.record_callback import record_event
from outdial.operations.run_sweeps import run_sweeps
from outdial.operations.settle_attempt import settle_attempt
from outdial.routing.slot_reservation import free_slots
from outdial.telephony.dial_result import (
    Accepted,
)

pytestmark = pytest.mark.integration


async def test_a_hint_delivered_twice_at_once_is_one_post(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    results = await in_parallel(*(world.place(attempt.id) for _ in range(5)))
    assert len(world.carrier.posts) == 1
    assert sum(result.get("Accepted", 0) for result in results) == 1
    await world.place(attempt.id)
    assert len(world.carrier.posts) == 1


async def test_dispatchers_at_once_claim_each_lead_once(world: World) -> None:
    ids = {(await world.add_lead()).id for _ in range(30)}
    reports = await in_parallel(*(dispatch(world.runtime) for _ in range(6)))
    while any((report := await world.dispatch()).claimed):
        reports = [*reports, report]
    claimed = [attempt_id for report in reports for attempt_id in report.claimed]
    assert len(claimed) == len(set(claimed)) == len(ids)
    assert {(await world.attempt(one)).lead_id for one in claimed} == ids


async def test_dispatchers_at_once_stay_within_the_limit(world: World) -> None:
    await world.set_campaign(max_live_calls=3)
    for _ in range(160):  # more than one dispatcher reads at a time
        await world.add_lead()
    reports = await in_parallel(*(dispatch(world.runtime) for _ in range(8)))
    assert sum(len(report.claimed) for report in reports) == 3


async def test_no_more_is_claimed_than_there_are_slots(world: World) -> None:
    await world.beat(slots=3)
    for _ in range(10):
        await world.add_lead()
    assert len((await world.dispatch()).claimed) == 3
    assert (await world.dispatch()).claimed == []
    assert await free_slots(world.runtime.redis) == 0


async def test_everything_at_once_neither_deadlocks_nor_differs(world: World) -> None:
    rows = [await world.dial(await world.add_lead()) for _ in range(6)]

    async def live(attempt_id: object, sid: str, phone: str) -> None:
        row = next(one for one in rows if one.id == attempt_id)
        steps = [
            record_event(world.runtime, row.id, status("ringing", 1, sid)),
            record_event(world.runtime, row.id, status("in-progress", 2, sid)),
            record_event(world.runtime, row.id, pod("stream_started", stream_no=1)),
            settle_attempt(world.runtime, row.id),
            settle_attempt(world.runtime, row.id),
            answer_dial_result(world.runtime, row.id, Accepted(sid)),
            world.opt_out(phone),
            run_sweeps(world.runtime),
            dispatch(world.runtime),
        ]
        await asyncio.gather(*steps)

    await in_parallel(*(live(row.id, str(row.call_sid), row.phone) for row in rows))
    for row in rows:
        await world.hear(row.id, status("completed", 3, str(row.call_sid)))
        await settle_attempt(world.runtime, row.id, without_pod=True)
        assert (await world.attempt(row.id)).outcome == "opted_out"
    assert isinstance(world.carrier, FakeCarrier)
    assert len(world.carrier.posts) == 6
