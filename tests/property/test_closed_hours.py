"""A campaign that is passed by has no lead that could be called, now or before it is looked at."""

from datetime import datetime, timedelta

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain.call_template import Hours
from outdial.domain.calling_hours import allowed, opening_within
from outdial.domain.campaign_hours import Place, openings
from outdial.domain.dial_gates import Allowed
from outdial.domain.phone_number import zones_of, zones_within
from test_hours import HOURS, MOMENTS

pytestmark = pytest.mark.prop

# Of every country, and of every area code with and without zones of its own in the data.
ABROAD = st.sampled_from(
    sorted(
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for region in phonenumbers.SUPPORTED_REGIONS
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
        if (example := phonenumbers.example_number_for_type(region, kind)) is not None
    )
)
AMERICAN = st.integers(2_000_000_000, 9_999_999_999).map(lambda digits: f"+1{digits}")
OTHER = st.sampled_from(["+870773111632", "+18005550100", "+80012345678", "+88213300000"])
PHONES = st.one_of(AMERICAN, ABROAD, OTHER)
OWN_ZONES = st.sampled_from([None, None, "America/New_York", "Asia/Kathmandu", "Pacific/Apia"])
# Hours that close, and some that never do, as templates of one campaign may have them.
TEMPLATES = st.lists(st.one_of(HOURS, st.just(Hours(jurisdictions=("us-federal",)))), min_size=1)
LEADS = st.lists(st.tuples(PHONES, OWN_ZONES, st.integers(0, 9)), min_size=1, max_size=6)


@given(PHONES, OWN_ZONES)
def test_one_of_the_sets_is_within_the_zones_of_the_number(phone: str, own: str | None) -> None:
    zones = zones_of(phone, own)
    within = zones_within(phone, own)
    assert within
    assert not zones or any(some and set(some) <= set(zones) for some in within)


@given(TEMPLATES, LEADS, MOMENTS, st.floats(0, 1))
def test_no_campaign_is_passed_by_that_has_a_lead_to_call(
    templates: list[Hours],
    leads: list[tuple[str, str | None, int]],
    now: datetime,
    share: float,
) -> None:
    versions = [(phone, own, templates[n % len(templates)]) for phone, own, n in leads]
    places = {
        (id(hours), zones): Place(hours, zones)
        for phone, own, hours in versions
        for zones in zones_within(phone, own)
    }
    opens = openings(list(places.values()), now)

    def somebody(at: datetime) -> bool:
        verdicts = (allowed(hours, zones_of(phone, own), at) for phone, own, hours in versions)
        return any(isinstance(verdict, Allowed) for verdict in verdicts)

    if opens is None:
        return
    assert len(opens) == len(places)
    first = min(opens)
    assert first > now
    # Until then nobody is looked at: nobody could be called, whenever one asks.
    last = first - timedelta(microseconds=1)
    for at in (now, min(now + (first - now) * share, last), last):
        assert not somebody(at)


@given(st.lists(st.tuples(HOURS, PHONES), min_size=1, max_size=4), MOMENTS)
def test_a_campaign_that_is_closed_everywhere_is_passed_by(
    leads: list[tuple[Hours, str]], now: datetime
) -> None:
    places = [Place(hours, zones) for hours, phone in leads for zones in zones_within(phone)]
    closed = all(not isinstance(allowed(p.hours, p.zones, now), Allowed) for p in places)
    known = any(place.zones for place in places)
    assert (openings(places, now) is not None) == (closed and known)


@given(HOURS, st.sampled_from(["America/New_York", "Australia/Lord_Howe"]), MOMENTS)
def test_the_window_that_has_just_opened_is_found(hours: Hours, zone: str, now: datetime) -> None:
    minutes = 45
    window = opening_within(hours, [zone], now, minutes)
    back = [now - timedelta(minutes=n) for n in range(minutes + 1)]
    is_open = [isinstance(allowed(hours, [zone], at), Allowed) for at in back]
    limited = hours.weekdays or hours.closed_dates
    just_opened = bool(limited) and is_open[0] and not all(is_open)
    assert (window is not None) == just_opened
    if window is not None:
        assert timedelta(0) <= now - window.opens_at <= timedelta(minutes=minutes)
        assert not isinstance(
            allowed(hours, [zone], window.opens_at - timedelta(seconds=1)), Allowed
        )
        assert all(
            isinstance(allowed(hours, [zone], at), Allowed) for at in back if at >= window.opens_at
        )
