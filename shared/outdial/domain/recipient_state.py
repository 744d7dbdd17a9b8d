"""Whose state's law may hold for a number: for the jurisdiction `us-by-state`.

Only the states of `jurisdictions.py` are told apart. No area code lies in two states; a number of
none (toll-free) may ring in any. Florida and Oklahoma presume that whoever has their area code is
there, so that it counts although the lead has a zone elsewhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from outdial.domain.phone_number import area_zones

BY_STATE = "us-by-state"


@dataclass(frozen=True)
class State:
    """Area codes, and the zones that its people's clocks show."""

    area_codes: frozenset[str]
    zones: frozenset[str]


# As in libphonenumber's geocoding data (resources/geocoding/en/1.txt), which a test compares, and
# 728, which was added to 561 and is not in that data yet. Zones are those of the tz database.
STATES: dict[str, State] = {
    "us-fl": State(
        frozenset(
            {"239", "305", "321", "324", "352", "386", "407", "448", "561", "645", "656", "689"}
            | {"727", "728", "754", "772", "786", "813", "850", "863", "904", "941", "954"}
        ),
        frozenset({"America/New_York", "America/Chicago"}),
    ),
    "us-ok": State(
        frozenset({"405", "539", "572", "580", "918"}),
        frozenset({"America/Chicago", "America/Denver"}),  # Kenton, by custom
    ),
    "us-wa": State(
        frozenset({"206", "253", "360", "425", "509", "564"}), frozenset({"America/Los_Angeles"})
    ),
}
"""By the name of the jurisdiction that its law is."""


def states_of(phone: str, own_zone: str | None = None) -> tuple[str, ...]:
    """Every jurisdiction of `STATES` that the person at `phone` may be in; all of them hold.

    The area code's; where `own_zone` is none of that area's, also those that have such clocks. A
    number without an area of its own could be in each (of its own zone, if that is known).
    """
    area = phone[2:5] if phone.startswith("+1") else ""
    at_home = area_zones(f"1{area}") if area else frozenset()
    clocks = frozenset(map(_clock, at_home))
    elsewhere = None if own_zone is None or _clock(own_zone) in clocks else _clock(own_zone)
    anywhere = bool(area) and not at_home and own_zone is None
    return tuple(
        name
        for name, state in STATES.items()
        if area in state.area_codes or anywhere or elsewhere in {_clock(z) for z in state.zones}
    )


@cache
def _clock(zone: str) -> tuple[timedelta | None, ...]:
    """What a zone's clocks show in winter and in summer: US/Eastern is America/New_York."""
    days = (datetime(2026, month, 1, tzinfo=ZoneInfo(zone)) for month in (1, 7))
    return tuple(day.utcoffset() for day in days)
