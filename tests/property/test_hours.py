"""No call at a moment outside the hours of any zone in which the phone could ring."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain.call_template import Hours
from outdial.domain.calling_hours import WEEKDAYS, allowed
from outdial.domain.dial_gates import Allowed, Refused
from outdial.domain.phone_number import zones_of

pytestmark = pytest.mark.prop

ZONES = st.lists(
    st.sampled_from(
        [
            "America/New_York",
            "America/Los_Angeles",
            "America/Phoenix",
            "America/St_Johns",
            "Australia/Lord_Howe",  # half an hour of daylight saving
            "Asia/Kathmandu",
            "Pacific/Kiritimati",
            "Europe/London",
            "UTC",
        ]
    ),
    min_size=1,
    max_size=3,
)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = st.integers(0, 730).map(lambda days: (FIRST + timedelta(days=days)).date().isoformat())
# Around the changes of clocks as often as anywhere else.
CHANGES = (datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC))
MOMENTS = st.one_of(
    st.floats(0, 2 * 366 * 86_400).map(lambda seconds: FIRST + timedelta(seconds=seconds)),
    st.builds(
        lambda day, seconds: day + timedelta(seconds=seconds),
        st.sampled_from([*CHANGES, datetime(2027, 4, 3, tzinfo=UTC)]),
        st.floats(0, 2 * 86_400),
    ),
)


@st.composite
def windows(draw: st.DrawFn) -> str:
    start = draw(st.integers(0, 95)) * 15
    end = draw(st.integers(start // 15 + 1, 96)) * 15
    return "-".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (start, end))


HOURS = st.builds(
    Hours,
    weekdays=st.dictionaries(
        st.sampled_from(WEEKDAYS), st.lists(windows(), max_size=3).map(tuple), max_size=7
    ),
    closed_dates=st.lists(DAYS, max_size=3).map(tuple),
)


def open_on_the_wall(hours: Hours, zone: str, at: datetime) -> bool:
    """The rule read out as a person would, sharing nothing with the code under test."""
    local = at.astimezone(ZoneInfo(zone))
    if local.strftime("%Y-%m-%d") in hours.closed_dates:
        return False
    day = local.strftime("%a").lower()
    today = hours.weekdays.get(day, ()) if hours.weekdays else ("00:00-24:00",)
    return any(w[:5] <= local.strftime("%H:%M") < w[6:] for w in today)


@given(HOURS, ZONES, MOMENTS)
def test_allowed_means_that_every_zone_is_open(
    hours: Hours, zones: list[str], now: datetime
) -> None:
    verdict = allowed(hours, zones, now)
    assert isinstance(verdict, Allowed) == all(open_on_the_wall(hours, z, now) for z in zones)


@given(HOURS, ZONES, MOMENTS)
def test_the_next_opening_is_open_and_nothing_before_it_is(
    hours: Hours, zones: list[str], now: datetime
) -> None:
    verdict = allowed(hours, zones, now)
    if isinstance(verdict, Allowed):
        return
    assert isinstance(verdict, Refused)
    assert verdict.not_before > now
    opens = verdict.not_before
    if not isinstance(allowed(hours, zones, opens), Allowed):
        assert opens == now + timedelta(days=1)  # nothing opens for two weeks
        opens = now + timedelta(days=14)
    # Windows begin at quarters of an hour, so that nothing opens between two of them.
    quarter = timedelta(minutes=15)
    moment = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) + quarter
    while moment < opens:
        assert not all(open_on_the_wall(hours, zone, moment) for zone in zones)
        moment += quarter


@given(st.integers(2_000_000_000, 9_999_999_999), HOURS, MOMENTS)
def test_no_american_is_called_outside_any_zone_of_the_area_code(
    digits: int, hours: Hours, now: datetime
) -> None:
    zones = zones_of(f"+1{digits}")
    if isinstance(allowed(hours, zones, now), Allowed) and (hours.weekdays or hours.closed_dates):
        assert zones
        assert all(open_on_the_wall(hours, zone, now) for zone in zones)
