"""No lead is ever dialed at a moment outside any zone in which its number could be."""

import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import timezone as phone_zones
from phonenumbers.tzdata import TIMEZONE_DATA

from outdial.domain.call_template import Hours, Limits
from outdial.domain.calling_hours import WEEKDAYS, allowed, spread_over, window_at
from outdial.domain.dial_gates import Allowed, Refused
from outdial.domain.holidays import CALENDARS
from outdial.domain.jurisdictions import JURISDICTIONS
from outdial.domain.limits import LiveCalls, NumberPast, within_number_limits
from outdial.domain.pace_forecast import Demand, forecast
from outdial.domain.phone_number import zones_of
from outdial.operations.calling_rules import CallingRules
from outdial.operations.check_gates import Candidate, check_gates
from outdial.storage.tables import Campaign, Lead

pytestmark = pytest.mark.prop

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
CHANGES = (datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
MOMENTS = st.one_of(
    st.integers(0, 2 * 366 * 1440).map(lambda minutes: FIRST + timedelta(minutes=minutes)),
    st.builds(
        lambda day, minutes: day + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-1440, 1440),
    ),
)
AREAS = sorted({prefix[1:4] for prefix in TIMEZONE_DATA if len(prefix) >= 4 and prefix[0] == "1"})
SPLIT = [
    area
    for area in AREAS
    if len({z for p, found in TIMEZONE_DATA.items() if p[:4] == f"1{area}" for z in found}) > 1
]
AMERICAN = st.builds(
    lambda area, exchange, line: f"+1{area}{exchange}{line:04}",
    st.sampled_from([*AREAS, "423", "270", "907", "208", "850", "800", "888"]),
    st.integers(200, 999),
    st.integers(0, 9999),
)
ABROAD = st.sampled_from(
    ["+34612345678", "+61412345678", "+79161234567", "+447911123456", "+5511987654321",
     "+882161234567", "+390612345678", "+77012345678", "+62812345678"]
)  # fmt: skip
PHONES = st.one_of(AMERICAN, ABROAD)


@st.composite
def windows(draw: st.DrawFn) -> str:
    start = draw(st.integers(0, 95)) * 15
    end = draw(st.integers(start // 15 + 1, 96)) * 15
    return "-".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (start, end))


HOURS = st.builds(
    Hours,
    weekdays=st.dictionaries(
        st.sampled_from(WEEKDAYS), st.lists(windows(), max_size=2).map(tuple), max_size=7
    ),
    closed_dates=st.lists(
        st.integers(0, 730).map(lambda n: (FIRST + timedelta(days=n)).date().isoformat()),
        max_size=3,
    ).map(tuple),
    holidays=st.lists(st.sampled_from(sorted(CALENDARS)), max_size=2).map(tuple),
    jurisdictions=st.lists(st.sampled_from(sorted(JURISDICTIONS)), max_size=2).map(tuple),
    spread_minutes=st.sampled_from([0.0, 10.0, 240.0]),
)


def every_zone(phone: str) -> set[str]:
    """Wherever the data has the number's own prefix, its area code or its country."""
    digits = phone[1:]
    zones = {
        zone
        for prefix, found in TIMEZONE_DATA.items()
        if digits.startswith(prefix) and len(prefix) >= 4
        for zone in found
    }
    zones |= set(phone_zones.time_zones_for_number(phonenumbers.parse(phone)))
    if digits.startswith("1"):
        area = (found for prefix, found in TIMEZONE_DATA.items() if prefix[:4] == digits[:4])
        zones |= {zone for found in area for zone in found}
    return zones - {"Etc/Unknown"}


def open_on_the_wall(hours: Hours, zone: str, at: datetime) -> bool:
    """The rule read out as a person would, sharing no function with the code under test."""
    local = at.astimezone(ZoneInfo(zone))
    if local.strftime("%Y-%m-%d") in hours.closed_dates:
        return False
    for calendar in hours.holidays:
        if local.date() in set(CALENDARS[calendar](local.year)):
            return False
    tables = [hours.weekdays] if hours.weekdays else []
    tables += [JURISDICTIONS[name].weekdays for name in hours.jurisdictions]
    return all(
        any(w[:5] <= local.strftime("%H:%M") < w[6:] for w in table.get(f"{local:%a}".lower(), ()))
        for table in tables
    )


def candidate(phone: str, zone: str | None, hours: Hours) -> Candidate:
    lead = Lead(id=uuid.uuid4(), scheduled_by="policy")
    rules = CallingRules(hours, Limits())
    return Candidate(lead, phone, zone, Campaign(status="running"), rules)


def limited(hours: Hours) -> bool:
    return bool(hours.weekdays or hours.closed_dates or hours.holidays or hours.jurisdictions)


@given(PHONES, st.none() | st.sampled_from(["America/Chicago", "Asia/Tokyo"]), HOURS, MOMENTS)
def test_no_lead_is_dialed_outside_any_zone_its_number_could_be_in(
    phone: str, own_zone: str | None, hours: Hours, now: datetime
) -> None:
    verdict = check_gates(
        candidate(phone, own_zone, hours),
        suppressed=False,
        past=NumberPast(),
        live=LiveCalls(0, 0, 10),
        now=now,
    )
    zones = {own_zone} if own_zone else every_zone(phone)
    if isinstance(verdict, Allowed):
        assert zones or not limited(hours)
        assert all(open_on_the_wall(hours, zone, now) for zone in zones)
    else:
        assert verdict.not_before > now


@given(
    st.sampled_from(SPLIT),
    st.integers(200, 999),
    st.sampled_from(sorted(JURISDICTIONS)),
    st.integers(0, 730),
    st.integers(0, 28).map(lambda n: 11 * 60 + n * 15 if n < 24 else n * 15 - 5 * 60),
)
@settings(max_examples=400)
def test_area_codes_that_lie_in_two_zones_at_the_edges_of_their_day(
    area: str, exchange: int, jurisdiction: str, days: int, minutes: int
) -> None:
    """The first opening and the last closing are hours of which one zone is not open."""
    hours, phone = Hours(jurisdictions=(jurisdiction,)), f"+1{area}{exchange}0100"
    for now in (
        FIRST + timedelta(days=days, minutes=minutes),
        FIRST + timedelta(days=days, minutes=minutes + 12 * 60),
    ):
        verdict = check_gates(
            candidate(phone, None, hours),
            suppressed=False,
            past=NumberPast(),
            live=LiveCalls(0, 0, 10),
            now=now,
        )
        is_open = all(open_on_the_wall(hours, zone, now) for zone in every_zone(phone))
        assert isinstance(verdict, Allowed) == is_open


@given(PHONES, HOURS, MOMENTS)
def test_a_window_is_open_from_its_first_minute_to_its_last(
    phone: str, hours: Hours, now: datetime
) -> None:
    zones = zones_of(phone)
    window = window_at(hours, zones, now)
    if window is None:
        return
    assert window.opens_at >= now
    assert (window.opens_at == now) == isinstance(allowed(hours, zones, now), Allowed)
    assert isinstance(allowed(hours, zones, window.opens_at), Allowed)
    if window.closes_at is not None:
        assert isinstance(allowed(hours, zones, window.closes_at), Refused)
        last = window.closes_at - timedelta(minutes=1)
        assert isinstance(allowed(hours, zones, max(last, window.opens_at)), Allowed)


@given(PHONES, HOURS, MOMENTS, st.binary(min_size=16, max_size=16))
def test_leads_are_spread_within_the_window_and_always_the_same(
    phone: str, hours: Hours, now: datetime, key: bytes
) -> None:
    window = window_at(hours, zones_of(phone), now)
    if window is None:
        return
    at = spread_over(window, key, hours.spread_minutes)
    assert at == spread_over(window, key, hours.spread_minutes)
    assert window.opens_at <= at <= window.opens_at + timedelta(minutes=hours.spread_minutes)
    assert window.closes_at is None or at < window.closes_at


def test_a_thousand_leads_do_not_start_in_the_first_second() -> None:
    window = window_at(Hours(jurisdictions=("us-federal",)), ("America/New_York",), FIRST)
    assert window is not None
    starts = [spread_over(window, uuid.uuid4().bytes, 10) for _ in range(1000)]
    for minute in range(10):
        opens = window.opens_at + timedelta(minutes=minute)
        assert 50 < sum(opens <= at < opens + timedelta(minutes=1) for at in starts) < 150


@given(
    st.integers(1, 5),
    st.integers(1, 9),
    st.lists(st.integers(0, 10_080), max_size=60),
)
def test_no_span_ever_holds_more_calls_than_its_limit(
    per_day: int, per_week: int, wishes: list[int]
) -> None:
    limits = Limits(per_day, per_week)
    dialed: list[datetime] = []
    for minutes in sorted(wishes):
        now = FIRST + timedelta(minutes=minutes)
        verdict = within_number_limits(limits, NumberPast(tuple(dialed)), now)
        if isinstance(verdict, Allowed):
            dialed.append(now)
        else:
            again = within_number_limits(limits, NumberPast(tuple(dialed)), verdict.not_before)
            assert isinstance(again, Allowed)
    for span, most in ((timedelta(days=1), per_day), (timedelta(days=7), per_week)):
        for end in dialed:
            assert sum(end - span < at <= end for at in dialed) <= most


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    opens = FIRST + timedelta(minutes=draw(st.integers(0, 600)))
    length = draw(st.none() | st.integers(1, 600))
    closes = None if length is None else opens + timedelta(minutes=length)
    return Demand(opens, closes, draw(st.integers(1, 500)))


@given(st.lists(demands(), max_size=8), st.sampled_from([0.01, 0.1, 1.0, 30.0]))
def test_forecast_loses_no_call_and_hurries_none(wishes: list[Demand], rate: float) -> None:
    found = forecast(wishes, rate, FIRST)
    calls = sum(demand.calls for demand in wishes)
    assert 0 <= found.too_late <= calls
    if found.last_call_at is not None:
        seconds = (found.last_call_at - FIRST).total_seconds()
        assert calls - found.too_late <= rate * seconds + 1
    if all(demand.closes_at is None for demand in wishes):
        assert found.too_late == 0
