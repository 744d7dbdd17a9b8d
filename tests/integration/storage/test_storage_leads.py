"""Leads: import, claim, and the constraints that hold whatever the code does."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from outdial.domain.lead_state import LeadState, ScheduledBy
from outdial.storage import attempts, campaigns, leads
from outdial.storage.tables import Lead
from storage_world import World

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)


async def test_leads_are_written_whole(world: World) -> None:
    later = datetime.now(UTC) + DAY
    new = world.lead(
        contacts=(
            leads.NewContact("+12025550100", "Ada", "America/New_York"),
            leads.NewContact("+12025550101"),
        ),
        variables={"text": 'tab\tquote"back\\slash\nünï \\N', "deep": {"a": [1, None]}},
        external_id="A-1\t\\.\r\n",
        branch_key="house",
        not_before=later,
        expires_at=later + DAY,
        caller_number="+15005550006",
    )
    await world.insert(new, world.lead())
    async with world.sessions() as session:
        lead = await leads.get(session, new.id)
        contacts = (await leads.contacts_of(session, [new.id]))[new.id]
    assert lead is not None
    assert (lead.variables, lead.external_id) == (new.variables, new.external_id)
    assert (lead.state, lead.next_attempt_at, lead.version) == ("backlog", later, 0)
    assert [(c.position, c.phone, c.name, c.timezone) for c in contacts] == [
        (0, "+12025550100", "Ada", "America/New_York"),
        (1, "+12025550101", None, None),
    ]


async def test_contacts_are_found_without_reading_all_right_after_an_import(world: World) -> None:
    ids = await world.insert(*[world.lead() for _ in range(5000)])  # Postgres has not analyzed them
    async with world.sessions() as session:
        found = await leads.contacts_of(session, ids[:60])
        scans = await session.scalar(
            text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'contacts'")
        )
    assert (set(found), scans) == (set(ids[:60]), 0)


async def test_an_import_that_fails_leaves_nothing(world: World) -> None:
    with pytest.raises(UniqueViolation):
        await world.insert(world.lead(external_id="x"), world.lead(external_id="x"))
    async with world.sessions() as session:
        assert await leads.count_by_state(session, world.campaign_id) == {}
        assert await leads.ids_by_external_id(session, world.campaign_id, ["x"]) == {}


async def test_due_leads_come_in_the_order_of_their_file(world: World) -> None:
    ids = await world.insert(*[world.lead() for _ in range(20)])
    async with world.sessions.begin() as session:
        assert [lead.id for lead in await leads.lock_due(session, world.campaign_id, 7)] == ids[:7]
        assert [c.id for c in await campaigns.with_due_leads(session)] == [world.campaign_id]


async def test_two_claims_at_once_share_the_leads(world: World) -> None:
    ids = await world.insert(*[world.lead() for _ in range(6)])
    async with world.sessions.begin() as first, world.sessions.begin() as second:
        mine = await leads.lock_due(first, world.campaign_id, 3)
        theirs = await leads.lock_due(second, world.campaign_id, 9)
    assert [lead.id for lead in mine + theirs] == ids


@pytest.mark.parametrize(
    "values",
    [
        {"held_at": datetime.now(UTC)},
        {"next_attempt_at": datetime.now(UTC) + DAY},
        {"state": "finished", "outcome": "expired", "next_attempt_at": None},
    ],
)
async def test_others_are_not_due(world: World, values: dict[str, object]) -> None:
    (lead_id,) = await world.insert(world.lead())
    async with world.sessions.begin() as session:
        await session.execute(update(Lead).where(Lead.id == lead_id).values(**values))
        assert await leads.lock_due(session, world.campaign_id, 9) == []
        assert await campaigns.with_due_leads(session) == []


async def test_a_lead_is_activated_once(world: World) -> None:
    (lead_id,) = await world.insert(world.lead())
    async with world.sessions.begin() as session:
        row = await world.row(session, lead_id)
        await attempts.insert_queued(session, [row])
        assert await leads.activate(session, lead_id, row["id"])
        assert not await leads.activate(session, lead_id, row["id"])
    async with world.sessions() as session:
        lead = await leads.get(session, lead_id)
    assert lead is not None
    assert (lead.state, lead.live_attempt_id, lead.version) == ("active", row["id"], 1)


async def test_a_refusal_moves_a_lead_behind_the_others(world: World) -> None:
    first, second = await world.insert(world.lead(), world.lead())
    later = datetime.now(UTC) + DAY
    async with world.sessions.begin() as session:
        await leads.refuse_all(session, [leads.Refusal(first, "outside_hours", later)])
        due = await leads.lock_due(session, world.campaign_id, 9)
        refused = await leads.lock(session, first)
    assert [lead.id for lead in due] == [second]
    assert refused is not None
    assert (refused.refusal, refused.next_attempt_at) == ("outside_hours", later)
    assert (refused.state, refused.version) == ("backlog", 0)


async def test_a_lead_waits_finishes_and_is_reopened(world: World) -> None:
    attempt_id = await world.attempt()
    later = datetime.now(UTC) + DAY
    async with world.sessions.begin() as session:
        lead_id = (await session.scalars(select(Lead.id))).one()
        assert await leads.finish(session, lead_id, "completed", {"status": "confirmed"})
        lead = await leads.lock(session, lead_id)
        assert lead is not None
        assert (lead.state, lead.outcome, lead.result) == (
            "finished",
            "completed",
            {"status": "confirmed"},
        )
        assert lead.live_attempt_id is None
        assert await leads.schedule(session, lead_id, 1, later, scheduled_by=ScheduledBy.PERSON)
        lead = await leads.lock(session, lead_id)
        assert lead is not None
        assert (lead.state, lead.outcome, lead.finished_at) == ("retry", None, None)
        assert (lead.contact_position, lead.next_attempt_at, lead.scheduled_by) == (
            1,
            later,
            "person",
        )
        assert not await leads.schedule(session, attempt_id, 0, later)  # no lead


async def test_what_a_lead_lacks_is_null_and_not_a_word(world: World) -> None:
    (lead_id,) = await world.insert(world.lead())
    async with world.sessions.begin() as session:
        await leads.finish(session, lead_id, "no_answer", None)
        assert (await session.scalars(select(Lead.id).where(Lead.result.is_(None)))).all()


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"state": "active"}, "ck_leads_live_attempt"),
        ({"state": "finished", "next_attempt_at": None}, "ck_leads_outcome"),
        ({"outcome": "completed"}, "ck_leads_outcome"),
        ({"next_attempt_at": None}, "ck_leads_due"),
        ({"state": "paused"}, "ck_leads_state"),
    ],
)
async def test_no_lead_is_lost_whatever_the_code_does(
    world: World, values: dict[str, object], constraint: str
) -> None:
    (lead_id,) = await world.insert(world.lead())
    with pytest.raises(IntegrityError, match=constraint):
        async with world.sessions.begin() as session:
            await session.execute(update(Lead).where(Lead.id == lead_id).values(**values))


async def test_an_active_lead_points_at_an_attempt_that_exists(world: World) -> None:
    (lead_id,) = await world.insert(world.lead())
    with pytest.raises(IntegrityError, match="fk_leads_live_attempt_id"):
        async with world.sessions.begin() as session:
            assert await leads.activate(session, lead_id, lead_id)


async def test_counts_and_pages(world: World) -> None:
    ids = await world.insert(*[world.lead() for _ in range(5)])
    async with world.sessions.begin() as session:
        await leads.finish(session, ids[0], "busy")
        counts = await leads.count_by_state(session, world.campaign_id)
        first = await leads.page(session, world.campaign_id, limit=3)
        rest = await leads.page(session, world.campaign_id, after=first[-1].id)
        waiting = await leads.page(session, world.campaign_id, state=LeadState.BACKLOG)
    assert counts == {("finished", "busy"): 1, ("backlog", None): 4}
    assert [lead.id for lead in first + rest] == ids
    assert [lead.id for lead in waiting] == ids[1:]


async def test_canceling_a_campaign_finishes_who_waits(world: World) -> None:
    await world.attempt()
    await world.insert(world.lead(), world.lead())
    async with world.sessions.begin() as session:
        assert await leads.cancel_waiting(session, world.campaign_id) == 2
        assert await leads.count_by_state(session, world.campaign_id) == {
            ("finished", "canceled"): 2,
            ("active", None): 1,
        }
