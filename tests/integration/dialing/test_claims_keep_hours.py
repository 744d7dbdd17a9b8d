"""Claimed and dialed at moments around both changes of the clock: nobody outside any zone's hours.

The whole way through dispatcher and dialer, with the database's clock set; what is right is read
off the walls of every zone in which libphonenumber's data has some exchange of the area code.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from phonenumbers import timezone as phone_zones
from phonenumbers.tzdata import TIMEZONE_DATA
from sqlalchemy.ext.asyncio import AsyncSession

from dialing_world import World
from outdial.operations import claim_due_leads, place_attempt
from outdial.storage.last_look import LastLook, last_look
from outdial.storage.tables import Attempt

pytestmark = pytest.mark.integration

# Area codes that lie in two zones, one without summer time, one on an island, toll-free, abroad.
PHONES = [
    f"+1{area}5550142"
    for area in ("423", "270", "850", "208", "907", "928", "605", "212", "312", "602", "808", "800")
] + ["+34612345142", "+447911123142", "+61412345142", "+870773111142"]
SPRING, AUTUMN = datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
# The first opening and the last closing of the day, where one of two zones is not open.
MOMENTS = [
    day + timedelta(days=days, minutes=minutes)
    for day in (SPRING, AUTUMN)
    for days in (-1, 0)
    for minutes in (12 * 60 + 30, 13 * 60 + 30, 16 * 60, 24 * 60 + 90, 25 * 60 + 30)
]


def zones_by_the_data(phone: str) -> set[str]:
    zones = set(phone_zones.time_zones_for_number(phonenumbers.parse(phone)))
    if phone.startswith("+1"):
        area = (found for prefix, found in TIMEZONE_DATA.items() if prefix[:4] == phone[1:5])
        zones |= {zone for found in area for zone in found}
    return zones - {"Etc/Unknown"}


def may_be_called(phone: str, at: datetime) -> bool:
    """47 CFR 64.1200(c)(1), on every wall; none of nobody knows where."""
    zones = zones_by_the_data(phone)
    return bool(zones) and all(8 <= at.astimezone(ZoneInfo(zone)).hour < 21 for zone in zones)


def claim_at(patch: pytest.MonkeyPatch, at: datetime) -> None:
    async def told(_session: AsyncSession) -> datetime:
        return at

    patch.setattr(claim_due_leads, "database_now", told)


def dial_at(patch: pytest.MonkeyPatch, at: datetime) -> None:
    async def look(session: AsyncSession, attempt: Attempt) -> LastLook:
        return replace(await last_look(session, attempt), now=at)

    patch.setattr(place_attempt, "last_look", look)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda at: f"{at:%m-%dT%H%M}")
async def test_nobody_is_claimed_or_dialed_outside_the_hours_of_any_zone(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: datetime
) -> None:
    await world.set_campaign(hours={"jurisdictions": ["us-federal"]})
    leads = {(await world.add_lead(phone)).id: phone for phone in PHONES}
    claim_at(monkeypatch, moment)
    claimed = (await world.dispatch()).claimed
    taken = {leads[lead] for one in claimed if (lead := (await world.attempt(one)).lead_id)}
    assert taken == {phone for phone in PHONES if may_be_called(phone, moment)}
    for lead_id, phone in leads.items():
        lead = await world.lead(lead_id)
        if phone not in taken:
            assert lead.refusal in {"outside_hours", "timezone_unknown"}
            assert lead.next_attempt_at is not None
            assert lead.next_attempt_at > moment

    # An hour and a half later some have closed: what was claimed before is not dialed then.
    later = moment + timedelta(minutes=90)
    dial_at(monkeypatch, later)
    await world.place(*claimed)
    dialed = {call.to for call in world.carrier.posts}
    assert dialed == {phone for phone in taken if may_be_called(phone, later)}


def test_the_moments_tell_zones_apart() -> None:
    """Each area code that lies in two zones is closed in just one of them at some moment."""
    for phone in PHONES[:2]:
        walls = [
            {8 <= at.astimezone(ZoneInfo(zone)).hour < 21 for zone in zones_by_the_data(phone)}
            for at in MOMENTS
        ]
        assert {True, False} in walls
