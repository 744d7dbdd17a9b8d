"""Facts about many answers are written in one transaction; none is lost, none comes twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from outdial.domain.call_events import Event
from outdial.operations.record_together import record_together
from outdial.operations.runtime import Runtime, open_runtime
from outdial.storage import attempts, call_events
from outdial.storage.ids import new_id
from outdial.storage.tables import Attempt
from outdial.telephony.callback_events import answered_event, held_event
from outdial_api import writing as facts
from outdial_api.writing import Writing, writing_facts
from polling import until
from twilio_world import World

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC)


def sid(number: int) -> str:
    return f"CA{number:032d}"


def answered(number: int) -> Event:
    return answered_event(sid(number), "pod-1", 1, degraded=False, now=NOW)


@pytest.fixture
async def calls(world: World) -> list[UUID]:
    """Calls that were answered; the number of each is in its CallSid."""
    rows = [
        Attempt(
            id=new_id(),
            direction="inbound",
            template_id=world.template_id,
            phone=f"+1555{number:07d}",
            caller_number="+15005550006",
            state="in_progress",
            call_sid=sid(number),
        )
        for number in range(6)
    ]
    async with world.runtime.sessions.begin() as session:
        session.add_all(rows)
    return [row.id for row in rows]


async def written(world: World) -> list[tuple[UUID, str]]:
    return [(event.attempt_id, event.kind) for event in await world.events()]


async def test_each_is_written_once_and_to_be_settled_if_it_is_loud(
    world: World, calls: list[UUID]
) -> None:
    told = [(attempt_id, answered(number)) for number, attempt_id in enumerate(calls)]
    told.append((calls[0], held_event(sid(0), 0, NOW)))
    for _ in range(2):
        await record_together(world.runtime, told)
    found = await written(world)
    assert sorted(found) == sorted([(a, "answered") for a in calls] + [(calls[0], "held")])
    async with world.runtime.sessions() as session:
        told, _ = await call_events.read(session, calls[0])
        assert sum(one.unread for one in told) == 1  # not for the hold
        row = await attempts.get(session, calls[0])
    assert row is not None
    assert row.heard_at is not None


async def test_the_unusual_ones_are_written_by_the_rules(world: World, calls: list[UUID]) -> None:
    async with world.runtime.sessions.begin() as session:
        unbound = await attempts.lock(session, calls[0])
        assert unbound is not None
        unbound.call_sid, unbound.intent_at = None, NOW
    await world.end("carrier")
    of_the_ended = answered_event("CA" + "1" * 32, "pod-1", 1, degraded=False, now=NOW)
    told = [
        (calls[0], answered(0)),
        (calls[1], answered(5)),  # names another call
        (world.attempt_id, of_the_ended),
        (uuid4(), answered(2)),
        (calls[3], answered(3)),
    ]
    await record_together(world.runtime, told)
    assert {a for a, _ in await written(world)} == {calls[0], calls[1], calls[3], world.attempt_id}
    async with world.runtime.sessions() as session:
        bound = await attempts.get(session, calls[0])
    assert bound is not None
    assert bound.call_sid == sid(0)


async def test_a_row_that_somebody_holds_keeps_no_other_waiting(
    world: World, calls: list[UUID]
) -> None:
    told = [(attempt_id, answered(number)) for number, attempt_id in enumerate(calls)]
    async with world.runtime.sessions.begin() as session:
        await attempts.lock(session, calls[0])
        writing = asyncio.create_task(record_together(world.runtime, told))

        async def all_but_one() -> bool:
            return len(await written(world)) >= 5

        await until(all_but_one, 10)
        assert calls[0] not in {a for a, _ in await written(world)}
    await writing
    assert len(await written(world)) == 6


@pytest.fixture
async def away(world: World) -> AsyncIterator[Runtime]:
    """The stores, with Postgres away."""
    update = {"database_url": "postgresql://x:y@127.0.0.1:9/x"}
    async with open_runtime(world.runtime.settings.model_copy(update=update)) as opened:
        yield replace(world.runtime, sessions=opened.sessions)


async def test_while_postgres_is_away_facts_wait_for_it(
    world: World, calls: list[UUID], away: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "AGAIN_SECONDS", 0.01)
    tries = asyncio.Event()

    class Watched(Writing):
        async def _write(self, told: list[tuple[UUID, Event]]) -> None:
            await super()._write(told)
            tries.set()

    writing = Watched(away)
    task = asyncio.create_task(writing.run())
    try:
        for number, attempt_id in enumerate(calls):
            writing.put(attempt_id, answered(number))
        async with asyncio.timeout(10):
            await tries.wait()
            assert await written(world) == []
            writing._runtime = world.runtime  # it is back
            await writing.written()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(await written(world)) == 6


async def test_what_waits_at_the_end_is_written(world: World, calls: list[UUID]) -> None:
    async with writing_facts(world.runtime) as writing:
        for number, attempt_id in enumerate(calls):
            writing.put(attempt_id, answered(number))
    assert len(await written(world)) == 6
