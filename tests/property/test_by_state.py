"""`us-by-state`: nobody is called outside the hours of any state that their number may be in."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers.geodata import GEOCODE_DATA

from outdial.domain.call_template import Hours, Limits
from outdial.domain.calling_hours import allowed
from outdial.domain.dial_gates import Allowed
from outdial.domain.jurisdictions import JURISDICTIONS
from outdial.domain.phone_number import zones_of
from outdial.domain.recipient_state import BY_STATE, STATES, states_of
from outdial.operations.calling_rules import CallingRules, rules_for, rules_for_any

pytestmark = pytest.mark.prop

NAMES = {
    "us-fl": {"Florida", "FL"},
    "us-ok": {"Oklahoma", "OK"},
    "us-wa": {"Washington State", "WA"},
}
NOT_IN_THE_DATA = {"us-fl": {"728"}}
RULES = CallingRules(Hours(jurisdictions=(BY_STATE,)), Limits())
AREAS = st.one_of(
    st.sampled_from(sorted({code for state in STATES.values() for code in state.area_codes})),
    st.sampled_from(["212", "312", "415", "800", "888", "500", "423", "907"]),
    st.integers(200, 999).map(str),
)
PHONES = st.builds(lambda area, rest: f"+1{area}{rest}", AREAS, st.integers(2_000_000, 9_999_999))
ZONES = st.sampled_from(
    [None, "America/New_York", "US/Pacific", "America/Chicago", "America/Phoenix", "Europe/London"]
)
MOMENTS = st.integers(0, 2 * 365 * 96).map(
    lambda quarters: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarters)
)


@cache
def places_by_area() -> dict[str, set[str]]:
    """Area code to the last words of its places in libphonenumber's geocoding: states, mostly."""
    found: dict[str, set[str]] = {}
    for prefix, names in GEOCODE_DATA.items():
        if prefix.startswith("1") and len(prefix) >= 4 and "en" in names:
            found.setdefault(prefix[1:4], set()).add(names["en"].rsplit(", ", 1)[-1])
    return found


def states_by_the_data(area: str) -> set[str]:
    words = places_by_area().get(area, set())
    found = {name for name, known in NAMES.items() if words & known}
    return found | {name for name, codes in NOT_IN_THE_DATA.items() if area in codes}


def open_on_the_wall(jurisdiction: str, zone: str, at: datetime) -> bool:
    local = at.astimezone(ZoneInfo(zone))
    windows = JURISDICTIONS[jurisdiction].weekdays[f"{local:%a}".lower()]
    return any(w[:5] <= local.strftime("%H:%M") < w[6:] for w in windows)


@given(PHONES, ZONES, MOMENTS)
def test_nobody_is_called_outside_the_hours_of_a_state_they_may_be_in(
    phone: str, own: str | None, now: datetime
) -> None:
    rules, zones = rules_for(RULES, phone, own), zones_of(phone, own)
    may_be_in = states_by_the_data(phone[2:5])
    if isinstance(allowed(rules.hours, zones, now), Allowed):
        for zone in zones:
            assert all(open_on_the_wall(name, zone, now) for name in {"us-federal", *may_be_in})
    for name in may_be_in:
        limit = JURISDICTIONS[name].limits.attempts_per_day
        assert limit is None or rules.limits.attempts_per_day == limit
    widest = rules_for_any(RULES).limits.attempts_per_day
    assert widest is not None
    assert rules.limits.attempts_per_day is None or widest <= rules.limits.attempts_per_day


def test_the_area_codes_are_those_of_the_data() -> None:
    for area in range(200, 1000):
        code = str(area)
        assert {n for n, s in STATES.items() if code in s.area_codes} == states_by_the_data(code)


@pytest.mark.parametrize(
    ("phone", "own", "states"),
    [
        ("+13055550142", None, {"us-fl"}),
        ("+13055550142", "America/Los_Angeles", {"us-fl", "us-wa"}),
        ("+18505550142", "America/Chicago", {"us-fl"}),  # Pensacola: in two zones itself
        ("+14155550142", None, set()),
        ("+14155550142", "US/Pacific", set()),  # where its area code is
        ("+14155550142", "US/Eastern", {"us-fl"}),
        ("+13135550142", "America/Detroit", set()),  # the clocks of New York, where its area is
        ("+16025550142", "America/Phoenix", set()),
        ("+14055550142", None, {"us-ok"}),
        ("+12065550142", None, {"us-wa"}),
        ("+18005550142", None, {"us-fl", "us-ok", "us-wa"}),
        ("+18005550142", "America/Chicago", {"us-fl", "us-ok"}),
        ("+447911123142", None, set()),
        ("+447911123142", "America/New_York", {"us-fl"}),
    ],
)
def test_which_states(phone: str, own: str | None, states: set[str]) -> None:
    assert set(states_of(phone, own)) == states


def test_other_rules_are_left_as_they_are() -> None:
    federal = CallingRules(Hours(jurisdictions=("us-federal",)), Limits(attempts_per_week=5))
    assert rules_for(federal, "+13055550142", None) is federal
    assert rules_for_any(federal) is federal
    both = rules_for(
        CallingRules(Hours(jurisdictions=(BY_STATE,)), Limits(attempts_per_day=2)),
        "+13055550142",
        None,
    )
    assert both.limits.attempts_per_day == 2
