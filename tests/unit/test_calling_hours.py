"""When a person may be called, by the clock on their wall."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from outdial.domain.call_template import Hours
from outdial.domain.calling_hours import WEEKDAYS, allowed
from outdial.domain.dial_gates import Allowed, Reason, Refused
from outdial.domain.errors import InvalidInput

pytestmark = pytest.mark.unit

NEW_YORK, LOS_ANGELES, SYDNEY = "America/New_York", "America/Los_Angeles", "Australia/Sydney"
DAILY = Hours(weekdays=dict.fromkeys(WEEKDAYS, ("09:00-17:00",)))
WORKDAYS = Hours(weekdays=dict.fromkeys(WEEKDAYS[:5], ("09:00-12:00", "13:00-17:00")))


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("hours", "zones", "now", "opens"),
    [
        # One zone: the first minute is in, the last is out.
        (DAILY, [NEW_YORK], at("2026-11-20T09:00", NEW_YORK), None),
        (DAILY, [NEW_YORK], at("2026-11-20T16:59:59", NEW_YORK), None),
        (DAILY, [NEW_YORK], at("2026-11-20T17:00", NEW_YORK), at("2026-11-21T09:00", NEW_YORK)),
        (DAILY, [NEW_YORK], at("2026-11-20T08:59", NEW_YORK), at("2026-11-20T09:00", NEW_YORK)),
        # A break at noon, a weekend.
        (WORKDAYS, [NEW_YORK], at("2026-11-20T12:30", NEW_YORK), at("2026-11-20T13:00", NEW_YORK)),
        (WORKDAYS, [NEW_YORK], at("2026-11-20T18:00", NEW_YORK), at("2026-11-23T09:00", NEW_YORK)),
        # Two zones: nine in the west is the first moment, five in the east the last.
        (DAILY, [NEW_YORK, LOS_ANGELES], at("2026-11-20T12:00", NEW_YORK), None),
        (
            DAILY,
            [NEW_YORK, LOS_ANGELES],
            at("2026-11-20T11:00", NEW_YORK),
            at("2026-11-20T09:00", LOS_ANGELES),
        ),
        (
            DAILY,
            [LOS_ANGELES, NEW_YORK],
            at("2026-11-20T17:00", NEW_YORK),
            at("2026-11-21T09:00", LOS_ANGELES),
        ),
        # The clock goes forward at two: half past two never comes, three does.
        (
            Hours(weekdays={"sun": ("02:30-05:00",)}),
            [NEW_YORK],
            at("2027-03-14T01:00", NEW_YORK),
            at("2027-03-14T03:00", NEW_YORK),
        ),
        # It goes back: half past one comes twice, and is open both times.
        (
            Hours(weekdays={"sun": ("01:30-01:45",)}),
            [NEW_YORK],
            at("2026-11-01T05:50"),  # 01:50, the first time
            at("2026-11-01T06:30"),  # 01:30, the second
        ),
        # Nine o'clock is nine o'clock on both sides of a change.
        (DAILY, [NEW_YORK], at("2026-10-31T22:00"), at("2026-11-01T14:00")),
        (DAILY, [NEW_YORK], at("2026-10-30T22:00"), at("2026-10-31T13:00")),
        # It is tomorrow in Sydney.
        (Hours(weekdays={"mon": ("09:00-10:00",)}), [SYDNEY], at("2026-11-22T22:30"), None),
        # Closed dates are local, and hours without weekdays are every hour of the others.
        (
            Hours(closed_dates=("2026-12-25",)),
            [NEW_YORK],
            at("2026-12-25T10:00", NEW_YORK),
            at("2026-12-26T00:00", NEW_YORK),
        ),
        (Hours(closed_dates=("2026-12-25",)), [SYDNEY], at("2026-12-25T14:00"), None),
        (Hours(weekdays={"mon": ("00:00-24:00",)}), ["UTC"], at("2026-11-23T23:59"), None),
        (Hours(), [NEW_YORK], at("2026-11-20T03:00", NEW_YORK), None),
        (Hours(), [], at("2026-11-20T03:00"), None),
    ],
)
def test_hours(hours: Hours, zones: list[str], now: datetime, opens: datetime | None) -> None:
    expected = Allowed() if opens is None else Refused(Reason.OUTSIDE_HOURS, opens)
    assert allowed(hours, zones, now) == expected


@pytest.mark.parametrize("hours", [DAILY, Hours(require_timezone=True)])
def test_who_could_be_anywhere_is_not_called(hours: Hours) -> None:
    verdict = allowed(hours, [], at("2026-11-20T12:00"))
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.TIMEZONE_UNKNOWN


@pytest.mark.parametrize(
    ("hours", "zones"),
    [
        (Hours(weekdays={"mon": ()}), [NEW_YORK]),
        (DAILY, ["Europe/London", LOS_ANGELES]),  # one closes when the other opens
    ],
)
def test_hours_that_never_open_are_looked_at_again_tomorrow(hours: Hours, zones: list[str]) -> None:
    now = at("2026-11-20T12:00")
    assert allowed(hours, zones, now) == Refused(Reason.OUTSIDE_HOURS, now + timedelta(days=1))


@pytest.mark.parametrize(
    "window", ["", "9-17", "17:00-09:00", "09:00-09:00", "09:60-10:00", "x:y-z"]
)
def test_a_window_that_is_none_opens_nothing(window: str) -> None:
    with pytest.raises(InvalidInput):
        allowed(Hours(weekdays={"fri": (window,)}), ["UTC"], at("2026-11-20T12:00"))
