"""One statement locks number, lead and attempt, and reads what their last holder wrote."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage import attempts, leads, locks
from outdial.storage.engine import Sessions
from outdial.storage.ids import new_id
from outdial.storage.settling_locks import lock_for_settling
from polling import until
from storage_world import World

pytestmark = pytest.mark.integration

# Of this database: other tests wait for locks in theirs.
WAITING = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = :kind"
)


async def somebody_waits(sessions: Sessions, kind: str) -> bool:
    async with sessions() as session:
        return bool(await session.scalar(WAITING, {"kind": kind}))


@pytest.mark.parametrize("held", ["number", "lead", "attempt"])
async def test_it_reads_what_was_written_while_it_waited(world: World, held: str) -> None:
    attempt_id = await world.attempt()

    async def lock() -> tuple[str, int, str]:
        async with world.sessions.begin() as session:
            found = await lock_for_settling(session, attempt_id)
            assert found is not None
            attempt, lead = found
            assert lead is not None
            return attempt.state, lead.version, lead.state

    async with world.sessions.begin() as holder:
        attempt = await attempts.get(holder, attempt_id)
        assert attempt is not None
        assert attempt.lead_id is not None
        before = await leads.get(holder, attempt.lead_id)
        assert before is not None
        version, lead_state = before.version, before.state
        await hold(holder, held, attempt.phone, attempt.lead_id, attempt_id)
        waiting = asyncio.create_task(lock())
        kind = "advisory" if held == "number" else "transactionid"
        await until(lambda: somebody_waits(world.sessions, kind), what="it waits for the lock")
        if held != "attempt":  # whoever waits for it has the lead
            version += 1
            lead_state = "retry"
            await holder.execute(
                text(
                    "UPDATE leads SET version = version + 1, state = 'retry', "
                    "live_attempt_id = NULL WHERE id = :id"
                ),
                {"id": attempt.lead_id},
            )
        await holder.execute(
            text("UPDATE attempts SET state = 'dialing', intent_at = now() WHERE id = :id"),
            {"id": attempt_id},
        )
    assert await waiting == ("dialing", version, lead_state)


async def hold(session: AsyncSession, what: str, phone: str, *ids: object) -> None:
    if what == "number":
        await locks.lock_number(session, phone)
        return
    table, row = ("leads", ids[0]) if what == "lead" else ("attempts", ids[1])
    await session.execute(text(f"SELECT 1 FROM {table} WHERE id = :id FOR UPDATE"), {"id": row})


async def test_an_inbound_call_has_no_lead(world: World) -> None:
    attempt_id = await world.attempt()
    async with world.sessions.begin() as session:
        await session.execute(
            text("UPDATE attempts SET lead_id = NULL, direction = 'inbound' WHERE id = :id"),
            {"id": attempt_id},
        )
    async with world.sessions.begin() as session:
        found = await lock_for_settling(session, attempt_id)
        assert found is not None
        assert (found[0].id, found[1]) == (attempt_id, None)
        assert not await is_free(world.sessions, found[0].phone)


async def is_free(sessions: Sessions, phone: str) -> bool:
    """Whether nobody has locked a number."""
    async with sessions() as session:
        taken = text(f"SELECT pg_try_advisory_lock({locks.NUMBER}, hashtext(:phone))")
        return bool(await session.scalar(taken, {"phone": phone}))


async def test_there_is_nothing_to_lock(world: World) -> None:
    attempt_id = await world.attempt()
    async with world.sessions.begin() as session:
        assert await lock_for_settling(session, new_id()) is None
        assert await lock_for_settling(session, attempt_id, if_told=True) is None
        held = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        assert not await session.scalar(text(held))
