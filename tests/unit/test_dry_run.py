"""When a waiting lead can be called, and whether calls fit into their windows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from outdial.domain.call_template import Hours, Limits
from outdial.domain.dial_gates import Reason
from outdial.domain.dry_run import (
    EXPIRES_FIRST,
    NEVER_OPEN,
    WAITS,
    Finding,
    Openings,
    WaitingLead,
    first_moment,
)
from outdial.domain.limits import NumberPast
from outdial.domain.pace_forecast import Demand, Forecast, forecast
from outdial.domain.refusal_words import WORDS, clock, in_words

pytestmark = pytest.mark.unit

DENVER = ("America/Denver",)
WALL = ZoneInfo(DENVER[0])
FRIDAY = "2026-11-20"
NINE_TO_FIVE = Hours(weekdays=dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-17:00",)))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=WALL).astimezone(UTC)


NOON, DAWN = at(f"{FRIDAY}T12:00"), at(f"{FRIDAY}T06:00")
DUE = WaitingLead(DENVER, DAWN - timedelta(hours=1))


def found(lead: WaitingLead, now: datetime, limits: Limits | None = None) -> Finding:
    return first_moment(lead, Openings(NINE_TO_FIVE, now), limits or Limits(), now)


def test_now() -> None:
    assert found(DUE, NOON) == Finding(None, NOON, None, at(f"{FRIDAY}T17:00"))


def test_outside_hours_until_the_opening() -> None:
    nine = at(f"{FRIDAY}T09:00")
    assert found(DUE, DAWN) == Finding(Reason.OUTSIDE_HOURS, nine, nine, at(f"{FRIDAY}T17:00"))
    # A lead that a gate sent away already is looked at at its own moment after the opening.
    spread = nine + timedelta(minutes=7)
    refused = replace(DUE, due_at=spread, refused=True)
    assert found(refused, DAWN) == Finding(
        Reason.OUTSIDE_HOURS, spread, nine, at(f"{FRIDAY}T17:00")
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"held": True}, Reason.HELD),
        ({"suppressed": True}, Reason.SUPPRESSED),
        ({"expires_at": NOON - timedelta(seconds=1)}, Reason.EXPIRED),
        ({"zones": ()}, Reason.TIMEZONE_UNKNOWN),
    ],
)
def test_never(changes: dict[str, object], reason: str) -> None:
    assert found(replace(DUE, **changes), NOON) == Finding(reason, None)  # type: ignore[arg-type]


def test_expires_before_the_opening() -> None:
    lead = replace(DUE, expires_at=DAWN + timedelta(hours=1))
    assert found(lead, DAWN) == Finding(EXPIRES_FIRST, None)


def test_hours_that_never_open() -> None:
    openings = Openings(Hours(weekdays={"mon": ()}), NOON)
    assert first_moment(DUE, openings, Limits(), NOON) == Finding(NEVER_OPEN, None)


def test_a_cooldown_that_ends_after_closing_waits_for_monday() -> None:
    lead = replace(DUE, due_at=at(f"{FRIDAY}T18:00"))
    monday = at("2026-11-23T09:00")
    assert found(lead, NOON) == Finding(WAITS, monday, None, at("2026-11-23T17:00"))


def test_a_limit_that_opens_at_night_waits_for_the_morning() -> None:
    past = NumberPast((at("2026-11-19T20:00"),))
    finding = found(replace(DUE, past=past), NOON, Limits(attempts_per_day=1))
    assert finding == Finding(
        Reason.NUMBER_DAY_LIMIT, at("2026-11-23T09:00"), None, at("2026-11-23T17:00")
    )


def test_what_was_not_before_and_who_is_on_the_phone() -> None:
    later = at(f"{FRIDAY}T15:00")
    assert found(replace(DUE, not_before=later, due_at=later), NOON).reason == Reason.NOT_YET
    assert found(replace(DUE, busy=True), NOON).reason == Reason.NUMBER_BUSY


def test_openings_do_not_depend_on_the_order_of_questions() -> None:
    openings = Openings(NINE_TO_FIVE, DAWN)
    late = openings.at(DENVER, at("2026-11-26T10:00"))
    early = openings.at(DENVER, NOON)
    assert late is not None
    assert early is not None
    assert (late.opens_at, early.opens_at) == (at("2026-11-26T09:00"), at(f"{FRIDAY}T09:00"))
    far = openings.at(DENVER, at("2027-11-22T10:00"))
    assert far is not None
    assert far.opens_at == at("2027-11-22T10:00")


def test_the_zone_that_everybody_waits_for() -> None:
    openings = Openings(NINE_TO_FIVE, DAWN)
    zones = ("America/Denver", "America/New_York")
    assert openings.deciding_zone(zones, at(f"{FRIDAY}T09:00")) == "America/Denver"


def minutes(after: float) -> datetime:
    return NOON + timedelta(minutes=after)


@pytest.mark.parametrize(
    ("demands", "expected"),
    [
        ([], Forecast(None, 0)),
        ([Demand(NOON, None, 120)], Forecast(minutes(2), 0)),
        ([Demand(NOON, minutes(1), 60)], Forecast(minutes(1), 0)),
        ([Demand(NOON, minutes(1), 100)], Forecast(minutes(1), 40)),
        # The window that closes first is served first, and both fit.
        ([Demand(NOON, minutes(10), 120), Demand(NOON, minutes(1), 60)], Forecast(minutes(3), 0)),
        # Nothing to do until the opening.
        ([Demand(minutes(30), minutes(60), 60)], Forecast(minutes(31), 0)),
        # Opened in the past, closed already.
        ([Demand(minutes(-9), minutes(-1), 7)], Forecast(None, 7)),
        (
            [Demand(NOON, minutes(2), 60), Demand(minutes(1), minutes(2), 90)],
            Forecast(minutes(2), 30),
        ),
    ],
)
def test_forecast_at_one_call_a_second(demands: list[Demand], expected: Forecast) -> None:
    assert forecast(demands, 1.0, NOON) == expected


def test_every_reason_has_words() -> None:
    assert {*map(str, Reason)} <= set(WORDS)
    assert in_words("rejected:21210") == "the carrier refused the call (code 21210)"
    assert in_words("something_new") == "something new"


def test_clocks() -> None:
    assert clock(NOON, "America/Denver", DAWN) == "12:00 Denver"
    assert (
        clock(at("2026-11-23T09:00"), "America/Denver", DAWN) == "Monday 23 November, 09:00 Denver"
    )
