"""Whether anybody in a campaign could be called now, told from where its leads can be.

A campaign of a million leads has some fifty places: asking them says what asking every lead would,
or less. It never says closed while one lead could be called (`zones_within`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outdial.domain.call_template import Hours
from outdial.domain.calling_hours import allowed, may_ring
from outdial.domain.dial_gates import Refused


@dataclass(frozen=True)
class Place:
    """Zones in all of which a phone may ring at once (none: unknown), and the hours that hold."""

    hours: Hours
    zones: tuple[str, ...]


def openings(places: Sequence[Place], now: datetime) -> list[datetime] | None:
    """When each of `places` opens, if all are closed at `now`.

    None means that the leads must be looked at, one by one: somebody could be called, or nothing is
    known of where they are, so that each is to be told why not.
    """
    if not any(place.zones for place in places):
        return None
    if any(may_ring(place.hours, place.zones, now) for place in places):
        return None
    verdicts = [allowed(place.hours, place.zones, now) for place in places]
    return [verdict.not_before for verdict in verdicts if isinstance(verdict, Refused)]
