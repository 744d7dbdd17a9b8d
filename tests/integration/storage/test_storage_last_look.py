"""What is seen of an attempt right before its POST."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from outdial.storage import attempts, numbers, suppressions
from outdial.storage.ids import new_id
from outdial.storage.last_look import LastLook, last_look
from outdial.storage.tables import Attempt, Contact
from storage_world import World

pytestmark = pytest.mark.integration


async def claimed(world: World) -> dict[str, Any]:
    (lead_id,) = await world.insert(world.lead())
    async with world.sessions.begin() as session:
        row = await world.row(session, lead_id)
        await attempts.insert_queued(session, [row])
    return row


async def look(world: World, attempt_id: UUID) -> LastLook:
    async with world.sessions() as session:
        attempt = await attempts.get(session, attempt_id)
        assert attempt is not None
        return await last_look(session, attempt)


async def test_nothing_stands_in_the_way(world: World) -> None:
    row = await claimed(world)
    seen = await look(world, row["id"])
    assert abs((datetime.now(UTC) - seen.now).total_seconds()) < 60
    assert seen == LastLook(
        now=seen.now,
        has_contact=True,
        timezone=None,
        is_suppressed=False,
        is_calling_us=False,
        is_caller_set_aside=False,
        live_in_all=1,
        live_in_campaign=1,
    )


async def test_the_contacts_own_zone(world: World) -> None:
    row = await claimed(world)
    async with world.sessions.begin() as session:
        zone = update(Contact).values(timezone="America/Denver")
        await session.execute(zone.where(Contact.id == row["contact_id"]))
    assert (await look(world, row["id"])).timezone == "America/Denver"


async def test_a_suppression_of_this_number(world: World) -> None:
    row, other = await claimed(world), await claimed(world)
    async with world.sessions.begin() as session:
        await suppressions.add(session, row["phone"], "asked", "api")
    assert (await look(world, row["id"])).is_suppressed
    assert not (await look(world, other["id"])).is_suppressed


async def test_a_caller_number_that_is_set_aside(world: World) -> None:
    row = await claimed(world)
    async with world.sessions.begin() as session:
        await numbers.add(session, row["caller_number"])
    assert not (await look(world, row["id"])).is_caller_set_aside
    async with world.sessions.begin() as session:
        await numbers.set_aside(session, row["caller_number"], "refused")
    assert (await look(world, row["id"])).is_caller_set_aside


async def test_who_is_calling_us_and_what_is_live_elsewhere(world: World) -> None:
    row = await claimed(world)
    await claimed(world)
    inbound = Attempt(
        id=new_id(),
        direction="inbound",
        template_id=world.template_id,
        phone=row["phone"],
        caller_number=row["caller_number"],
        state="in_progress",
    )
    async with world.sessions.begin() as session:
        session.add(inbound)
    seen = await look(world, row["id"])
    assert seen.is_calling_us
    assert (seen.live_in_all, seen.live_in_campaign) == (3, 2)
    async with world.sessions.begin() as session:
        await session.execute(
            update(Attempt)
            .where(Attempt.id == inbound.id)
            .values(state="ended", ended_at=datetime.now(UTC), spent=False, outcome="completed")
        )
    seen = await look(world, row["id"])
    assert not seen.is_calling_us
    assert (seen.live_in_all, seen.live_in_campaign) == (2, 2)
