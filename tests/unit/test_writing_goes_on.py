"""What is left after an answer fails alone: the facts after it are written, and it is told of."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from outdial.background_task import running
from outdial.observability.metrics import EVENTS_DROPPED
from outdial.operations.record_together import Fact
from outdial.operations.runtime import Runtime
from outdial.telephony.callback_events import answered_event
from outdial_api import writing as facts
from outdial_api.after_answer import after_answer
from outdial_api.writing import Writing

pytestmark = pytest.mark.unit

EVENT = answered_event("CA1", "pod-1", 1, degraded=False, now=datetime.now(UTC))


class Store:
    """Takes facts, unless one of them is poison; away as often as it is told."""

    def __init__(self, poison: UUID, away: int = 0) -> None:
        self.poison = poison
        self.away = away
        self.written: list[UUID] = []

    async def record(self, _runtime: Runtime, told: Sequence[Fact]) -> None:
        if any(attempt_id == self.poison for attempt_id, _ in told):
            raise TypeError("Object of type bytes is not JSON serializable")
        if self.away and len(told) == 1:
            self.away -= 1
            raise OperationalError("INSERT", None, OSError("gone"))
        self.written += [attempt_id for attempt_id, _ in told]


@asynccontextmanager
async def writing(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Writing]:
    monkeypatch.setattr(facts, "record_together", store.record)
    monkeypatch.setattr(facts, "GATHER_SECONDS", 0.001)
    monkeypatch.setattr(facts, "AGAIN_SECONDS", 0.001)
    told = Writing(cast("Runtime", None))
    task = asyncio.create_task(told.run())
    try:
        async with asyncio.timeout(10):
            yield told
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("away", [0, 1, 3], ids=["", "away-once", "away-thrice"])
async def test_a_fact_that_cannot_be_written_blocks_no_other(
    monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    ids = [uuid4() for _ in range(5)]
    store = Store(ids[2], away)
    before = EVENTS_DROPPED.labels("error")._value.get()
    async with writing(store, monkeypatch) as told:
        for attempt_id in ids:
            told.put(attempt_id, EVENT)
        await told.written()
        told.put(late := uuid4(), EVENT)
        await told.written()
    assert store.written == [ids[0], ids[1], ids[3], ids[4], late]  # each once, in order
    assert EVENTS_DROPPED.labels("error")._value.get() == before + 1


async def test_a_store_that_goes_away_after_an_answer_is_told_of_once() -> None:
    async def work(_attempt_id: str) -> None:
        raise OperationalError("SELECT", None, OSError("gone"))

    with capture_logs() as logs:
        await after_answer(work, "x")
    assert [(line["event"], line["what"]) for line in logs] == [("not_done_after_answer", "work")]


async def test_a_defect_is_not_hidden() -> None:
    async def work() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        await after_answer(work)


async def test_work_beside_a_block_ends_with_it() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with running(work(), "work") as task:
        await asyncio.sleep(0)
        assert not task.done()
    assert ended.is_set()


async def test_work_that_dies_is_told_of_at_once() -> None:
    async def work() -> None:
        raise KeyError("ours")

    async def beside() -> None:
        async with running(work(), "work") as task:
            await asyncio.wait({task})
            await asyncio.sleep(0)  # its callbacks
            told.extend((line["event"], line["task"]) for line in logs)

    told: list[tuple[str, str]] = []
    with capture_logs() as logs, pytest.raises(KeyError):
        await beside()
    assert told == [("background_task_died", "work")]
