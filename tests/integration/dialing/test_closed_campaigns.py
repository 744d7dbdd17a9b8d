"""A campaign outside its hours is not scanned; each of its leads can still say why it waits."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from dialing_world import World, closed_now, some_phone
from outdial.domain.placeholders import variables_of
from outdial.domain.refusal_words import in_words
from outdial.observability.metrics import CLOSED
from outdial.operations import claim_due_leads
from outdial.operations.check_lead import RawContact, RawLead, Target
from outdial.operations.control_campaign import change_campaign
from outdial.operations.import_leads import import_leads
from outdial.operations.parse_template import parse_template
from outdial.operations.request_ids import RequestIds
from outdial.operations.why_not_called import refusal_of, why_not_called
from outdial.storage import campaign_zones, campaigns, leads
from outdial.storage.tables import Campaign, Lead
from polling import until

pytestmark = pytest.mark.integration

NEW_YORK, HONOLULU, TOLL_FREE = "+12125550142", "+18085550142", "+18005550142"
EVENING = datetime(2026, 7, 15, 1, 30, tzinfo=UTC)  # 21:30 there, 15:30 in Honolulu
NIGHT = datetime(2026, 7, 15, 7, tzinfo=UTC)  # 3:00 there, 21:00 in Honolulu
MORNING = datetime(2026, 7, 15, 12, tzinfo=UTC)  # 8:00 there
FEDERAL: dict[str, object] = {"jurisdictions": ["us-federal"], "spread_minutes": 0}


async def campaign(world: World, hours: dict[str, object]) -> uuid.UUID:
    """One whose leads are all known by place, as the API makes them."""
    return await world.add_campaign(f"known {uuid.uuid4()}", hours=hours, zones_known=True)


async def closed_until(world: World, campaign_id: uuid.UUID) -> datetime | None:
    async with world.runtime.sessions() as session:
        return await campaign_zones.closed_until(session, campaign_id)


async def why(world: World, lead: Lead) -> str:
    async with world.runtime.sessions() as session:
        contacts = await leads.contacts_of(session, [lead.id])
        of = await campaigns.get(session, lead.campaign_id)
        closed = await campaign_zones.closed_places(session, lead.campaign_id)
    words = why_not_called(lead, contacts[lead.id], of, closed)
    reason = refusal_of(lead, contacts[lead.id], closed)
    assert in_words(reason or "") in words
    return words


def set_clock(patch: pytest.MonkeyPatch, at: datetime) -> None:
    async def told(_session: AsyncSession) -> datetime:
        return at

    patch.setattr(claim_due_leads, "database_now", told)


async def openings(world: World, campaign_id: uuid.UUID) -> set[datetime | None]:
    async with world.runtime.sessions() as session:
        rows = (await campaign_zones.of_campaigns(session, [campaign_id]))[campaign_id]
    return {row.opens_at for row in rows}


async def test_leads_of_a_closed_campaign_are_not_looked_at(world: World) -> None:
    shut = await campaign(world, closed_now())
    lead = await world.add_lead(campaign=shut)
    counted = CLOSED.labels("outside_hours")._value.get()
    for _ in range(3):
        report = await world.dispatch()
        assert (report.claimed, report.refused) == ([], {})
    assert CLOSED.labels("outside_hours")._value.get() == counted + 1
    untouched = await world.lead(lead.id)
    assert (untouched.refusal, untouched.next_attempt_at) == (None, lead.next_attempt_at)
    until = await closed_until(world, shut)
    assert until is not None
    assert until > datetime.now(UTC) + timedelta(hours=6)
    words = await why(world, lead)
    assert words.startswith("Not called: it is outside the hours in which the person may be called")
    assert words.endswith("00:00 New York.")


async def test_others_are_called_meanwhile(world: World) -> None:
    shut = await campaign(world, closed_now())
    for _ in range(3):
        await world.add_lead(campaign=shut)
    mine = await world.add_lead(campaign=await campaign(world, FEDERAL | {"jurisdictions": []}))
    report = await world.dispatch()
    assert report.refused == {}
    assert [(await world.attempt(one)).lead_id for one in report.claimed] == [mine.id]


async def test_other_hours_open_it_at_once(world: World) -> None:
    shut = await campaign(world, closed_now())
    lead = await world.add_lead(campaign=shut)
    await world.dispatch()
    await change_campaign(world.runtime, shut, {"hours": None})
    assert await closed_until(world, shut) is None
    assert (await world.claim(lead)).campaign_id == shut


async def test_a_lead_in_another_place_opens_it_at_once(world: World) -> None:
    """The new lead's template has no hours: a lead keeps the version that it was made with."""
    hours = closed_now()
    closed = await world.add_template(slug="shut", hours=hours)
    shut = await world.add_campaign("by version", zones_known=True)
    open_template, world.template_id = world.template_id, closed
    await world.add_lead(campaign=shut)
    await world.dispatch()
    assert await closed_until(world, shut) is not None
    world.template_id = open_template
    lead = await world.add_lead(campaign=shut)
    assert await closed_until(world, shut) is None
    report = await world.dispatch()
    assert [(await world.attempt(one)).lead_id for one in report.claimed] == [lead.id]
    assert report.refused == {"outside_hours": 1}  # scanned again: told one by one


async def until_somebody_waits(session: AsyncSession) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    await until(lambda: session.scalar(waiting))


async def test_hours_that_change_while_it_is_being_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closes it shares its row: the change comes before, and is seen, or after."""
    shut = await campaign(world, closed_now())
    lead = await world.add_lead(campaign=shut)
    share, changing = campaigns.share, list[asyncio.Task[Campaign]]()

    async def changed_before(session: AsyncSession, campaign_id: uuid.UUID) -> object:
        await change_campaign(world.runtime, shut, {"hours": None})
        return await share(session, campaign_id)

    async def changed_after(session: AsyncSession, campaign_id: uuid.UUID) -> object:
        row = await share(session, campaign_id)
        work = change_campaign(world.runtime, shut, {"hours": None})
        changing.append(asyncio.create_task(work))
        await until_somebody_waits(session)
        return row

    monkeypatch.setattr(campaigns, "share", changed_after)
    assert (await world.dispatch()).claimed == []
    await changing[0]
    assert await closed_until(world, shut) is None
    await change_campaign(world.runtime, shut, {"hours": closed_now()})
    monkeypatch.setattr(campaigns, "share", changed_before)
    assert (await world.claim(lead)).campaign_id == shut


@pytest.mark.parametrize("known", [True, False], ids=["known", "of_an_older_version"])
async def test_the_last_zone_decides(
    world: World, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    mixed = await world.add_campaign("mixed", hours=FEDERAL, zones_known=known)
    east = await world.add_lead(NEW_YORK, campaign=mixed)
    west = await world.add_lead(HONOLULU, campaign=mixed)
    free = await world.add_lead(TOLL_FREE, campaign=mixed)

    set_clock(monkeypatch, NIGHT)
    report = await world.dispatch()
    if known:
        assert report.refused == {}
        assert MORNING in await openings(world, mixed)
    else:
        assert report.refused == {"outside_hours": 3}
    for lead in (east, west, free):
        await world.make_due(lead)
    await world.execute("UPDATE campaign_zones SET opens_at = NULL")  # Postgres has its own clock
    set_clock(monkeypatch, EVENING)
    report = await world.dispatch()
    assert [(await world.attempt(one)).lead_id for one in report.claimed] == [west.id]
    assert report.refused == {"outside_hours": 2}


async def test_numbers_of_no_zone_alone_are_told_one_by_one(world: World) -> None:
    ship = "+870773111632"
    at_sea = await campaign(world, closed_now())
    lead = await world.add_lead(ship, campaign=at_sea)
    assert (await world.dispatch()).refused == {"timezone_unknown": 1}
    ashore = await campaign(world, closed_now())
    among = await world.add_lead(ship, campaign=ashore)
    await world.add_lead(campaign=ashore)
    assert (await world.dispatch()).refused == {}
    assert "in which time zone" in await why(world, await world.lead(lead.id))
    assert "in which time zone" in await why(world, await world.lead(among.id))


async def test_leads_that_nobody_looked_at_are_spread_over_the_opening(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = FEDERAL | {"spread_minutes": 10}
    waiting = await campaign(world, hours)
    for _ in range(40):
        await world.add_lead(some_phone(), campaign=waiting)
    await world.execute("UPDATE leads SET next_attempt_at = :at", at=MORNING - timedelta(hours=9))
    fresh = await world.add_lead(some_phone(), campaign=waiting)
    soon = MORNING + timedelta(seconds=5)
    await world.execute(
        "UPDATE leads SET next_attempt_at = :at WHERE id = :id", at=soon, id=fresh.id
    )

    set_clock(monkeypatch, soon)
    report = await world.dispatch()
    claimed = {(await world.attempt(one)).lead_id for one in report.claimed}
    assert fresh.id in claimed  # it did not wait for the opening
    assert len(claimed) + report.refused["outside_hours"] == 41
    assert len(claimed) < 6
    async with world.runtime.sessions() as session:
        rows = await leads.page(session, waiting, limit=50)
    later = {row.next_attempt_at for row in rows if row.refusal == "outside_hours"}
    assert len(later) == report.refused["outside_hours"]
    assert all(soon < at <= MORNING + timedelta(minutes=10) for at in later if at)


async def test_an_import_notes_where_its_leads_are(world: World) -> None:
    into = await campaign(world, closed_now())
    template = parse_template(
        {"slug": "any", "agent": {"name": "A", "greeting": "Hi", "prompt": "Ask"}}
    )
    target = Target(into, world.template_id, variables_of(template), datetime.now(UTC))
    labels = {"phone": "phone", "name": "name", "timezone": "timezone"}
    rows = [
        RawLead(1, (RawContact({"phone": NEW_YORK}, labels),)),
        RawLead(2, (RawContact({"phone": NEW_YORK, "timezone": "Asia/Tokyo"}, labels),)),
        RawLead(
            3,
            (
                RawContact({"phone": "+14235550142"}, labels),
                RawContact({"phone": "+447911123142"}, labels),
            ),
        ),
        RawLead(4, (RawContact({"phone": "no number"}, labels),)),
    ]
    async for _ in import_leads(world.runtime, target, iter(rows), RequestIds()):
        pass
    async with world.runtime.sessions() as session:
        found = (await campaign_zones.of_campaigns(session, [into]))[into]
    assert {row.zones for row in found} == {
        ("America/New_York",),
        ("Asia/Tokyo",),
        ("America/Chicago", "America/New_York"),
        *((zone,) for zone in ("Europe/Guernsey", "Europe/Isle_of_Man", "Europe/Jersey")),
        ("Europe/London",),
    }
