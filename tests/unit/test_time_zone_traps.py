"""Traps of telephone numbers' time zones and of clocks (reference: what Twilio users met)."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from phonenumbers import timezone as phone_zones
from phonenumbers.tzdata import TIMEZONE_DATA

from outdial.domain.call_template import Hours
from outdial.domain.calling_hours import Window, allowed, window_at
from outdial.domain.dial_gates import Allowed, Reason, Refused
from outdial.domain.phone_number import zones_of

pytestmark = pytest.mark.unit

TCPA = Hours(jurisdictions=("us-federal",))
NEW_YORK, CHICAGO = ZoneInfo("America/New_York"), ZoneInfo("America/Chicago")
AREA_CODES = sorted(
    {prefix[1:4] for prefix in TIMEZONE_DATA if len(prefix) >= 4 and prefix[0] == "1"}
)


def at(text: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def opens(phone: str, now: datetime, hours: Hours = TCPA) -> datetime:
    verdict = allowed(hours, zones_of(phone), now)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.OUTSIDE_HOURS
    return verdict.not_before


@pytest.mark.parametrize("area", AREA_CODES)
def test_an_exchange_could_be_anywhere_in_its_area_code(area: str) -> None:
    every = {
        zone
        for prefix, zones in TIMEZONE_DATA.items()
        if prefix.startswith(f"1{area}")
        for zone in zones
    }
    for exchange in ("200", "555", "987"):
        assert set(zones_of(f"+1{area}{exchange}1234")) >= every


@pytest.mark.parametrize("area", ["423", "270"])
def test_most_exchanges_of_423_and_270_are_wrong_and_so_both_zones_count(area: str) -> None:
    alone = {
        zone
        for exchange in range(200, 1000)
        for zone in phone_zones.time_zones_for_number(phonenumbers.parse(f"+1{area}{exchange}1234"))
        if zone != "Etc/Unknown"
    }
    assert alone == {"America/New_York", "America/Chicago"}  # the trap is still there
    for exchange in (200, 555, 987):
        phone = f"+1{area}{exchange}1234"
        # Seven o'clock in Chicago is eight in New York; eight in New York is too early for one.
        assert opens(phone, at("2026-11-20T08:30", NEW_YORK)) == at("2026-11-20T08:00", CHICAGO)
        # And nine in the evening in New York is eight in Chicago, where there would be time.
        late = at("2026-11-20T21:05", NEW_YORK)
        assert opens(phone, late) == at("2026-11-21T08:00", CHICAGO)


def test_a_toll_free_number_could_ring_in_every_zone_of_its_country_code() -> None:
    zones = zones_of("+18005550100")
    assert len(zones) == 42
    assert {"Pacific/Saipan", "America/St_Johns", "Pacific/Pago_Pago"} <= set(zones)
    now = datetime(2026, 11, 20, 17, tzinfo=UTC)
    # From eight in the morning in Guam, where it is tomorrow, to nine at night in St. John's.
    expected = Window(
        datetime(2026, 11, 20, 22, tzinfo=UTC), datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
    )
    assert window_at(TCPA, zones, now) == expected
    assert opens("+18005550100", now) == expected.opens_at
    office = Hours(weekdays={"fri": ("09:00-17:00",)})
    assert isinstance(allowed(office, zones, now), Refused)
    assert window_at(office, zones, now) is None


@pytest.mark.parametrize("phone", ["+882161234567", "+870773111632", "+5215512345678"])
def test_a_number_of_nowhere_is_refused_where_there_are_hours(phone: str) -> None:
    assert zones_of(phone) == ()
    verdict = allowed(TCPA, zones_of(phone), datetime(2026, 11, 20, 17, tzinfo=UTC))
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.TIMEZONE_UNKNOWN
    assert window_at(TCPA, (), verdict.not_before) is None


def test_the_leads_own_zone_comes_first() -> None:
    now = at("2026-11-20T08:30", NEW_YORK)
    assert allowed(TCPA, zones_of("+14235550100", "America/New_York"), now) == Allowed()


@pytest.mark.parametrize(
    ("phone", "zones"),
    [
        ("+34612345678", {"Atlantic/Canary", "Europe/Madrid"}),  # a mobile may be on an island
        ("+447911123456", {"Europe/London", "Europe/Jersey", "Europe/Guernsey"}),
        ("+61412345678", {"Australia/Perth", "Australia/Sydney"}),
        ("+79161234567", {"Asia/Kamchatka", "Europe/Moscow"}),
        ("+19075550100", {"America/Anchorage", "America/Adak"}),
        ("+12085550100", {"America/Boise", "America/Los_Angeles", "America/Denver"}),
        ("+19285550100", {"America/Phoenix", "America/Denver"}),  # the Navajo nation
    ],
)
def test_numbers_of_several_zones(phone: str, zones: set[str]) -> None:
    assert zones <= set(zones_of(phone))


SPRING, AUTUMN = "2026-03-08", "2026-11-01"  # the clocks change at two in the morning
PHONE = "+12125550100"


@pytest.mark.parametrize(
    ("day", "utc_hour"),
    [("2026-03-07", 13), (SPRING, 12), ("2026-10-31", 12), (AUTUMN, 13)],
)
def test_eight_in_the_morning_is_on_the_wall(day: str, utc_hour: int) -> None:
    opening = opens(PHONE, at(f"{day}T00:30", NEW_YORK))
    assert opening == datetime.fromisoformat(f"{day}T{utc_hour:02}:00+00:00")
    window = window_at(TCPA, zones_of(PHONE), opening)
    assert window == Window(opening, at(f"{day}T21:00", NEW_YORK))


def test_the_hour_that_spring_leaves_out() -> None:
    hours = Hours(weekdays={"sun": ("02:00-04:00",)})
    before = at(f"{SPRING}T01:59", NEW_YORK)
    # Two o'clock does not come: three does, within the window.
    assert opens(PHONE, before, hours) == at(f"{SPRING}T03:00", NEW_YORK)
    shut = Hours(weekdays={"sun": ("02:00-03:00", "09:00-10:00")})
    assert opens(PHONE, before, shut) == at(f"{SPRING}T09:00", NEW_YORK)


def test_the_hour_that_autumn_repeats() -> None:
    hours = Hours(weekdays={"sun": ("01:30-02:00",)})
    first = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    second = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    zones = zones_of(PHONE)
    assert [isinstance(allowed(hours, zones, now), Allowed) for now in (first, second)] == [
        True
    ] * 2
    between = datetime(2026, 11, 1, 6, 10, tzinfo=UTC)  # ten past one, for the second time
    assert opens(PHONE, between, hours) == second


def test_a_zone_that_has_no_summer_time_is_its_own() -> None:
    summer, winter = at("2026-07-01T07:30", ZoneInfo("America/Phoenix")), None
    assert opens("+16025550100", summer) == at("2026-07-01T08:00", ZoneInfo("America/Phoenix"))
    winter = at("2026-12-01T07:30", ZoneInfo("America/Phoenix"))
    assert opens("+16025550100", winter) == at("2026-12-01T08:00", ZoneInfo("America/Phoenix"))


def test_jurisdictions_and_own_hours_both_hold() -> None:
    both = Hours(
        weekdays=dict.fromkeys(("fri", "sat", "sun"), ("07:00-20:30",)),
        jurisdictions=("us-fl", "us-federal"),
        holidays=("us-federal",),
    )
    zones = zones_of(PHONE)
    friday = at("2026-11-20T06:00", NEW_YORK)
    assert window_at(both, zones, friday) == Window(
        at("2026-11-20T08:00", NEW_YORK), at("2026-11-20T20:00", NEW_YORK)
    )
    # Christmas is a Friday in 2026.
    christmas = at("2026-12-24T23:00", NEW_YORK)
    assert opens(PHONE, christmas, both) == at("2026-12-26T08:00", NEW_YORK)
