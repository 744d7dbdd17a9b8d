"""How often one number may be called, and how many calls may be live."""

from datetime import UTC, datetime, timedelta

import pytest

from outdial.domain.call_template import Limits
from outdial.domain.dial_gates import Allowed, Reason, Refused, Verdict
from outdial.domain.limits import (
    LiveCalls,
    NumberPast,
    looks_back,
    strictest,
    within_live_limits,
    within_number_limits,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def dialed(*hours: float) -> NumberPast:
    return NumberPast(tuple(sorted(ago(hours=h) for h in hours)))


THREE = Limits(attempts_per_day=3)
SEVEN = Limits(attempts_per_week=7)
REG_F = Limits(attempts_per_week=7, rest_days_after_conversation=7)


@pytest.mark.parametrize(
    ("limits", "past", "expected"),
    [
        (THREE, NumberPast(), Allowed()),
        (THREE, dialed(1, 2), Allowed()),
        # Room comes when the first of the three is a day old.
        (THREE, dialed(1, 2, 20), Refused(Reason.NUMBER_DAY_LIMIT, NOW + timedelta(hours=4))),
        (THREE, dialed(1, 2, 24), Allowed()),
        (THREE, dialed(1, 2, 30, 40), Allowed()),
        # A limit that was lowered meanwhile waits until enough of them are a day old.
        (THREE, dialed(1, 2, 3, 20), Refused(Reason.NUMBER_DAY_LIMIT, NOW + timedelta(hours=21))),
        (
            SEVEN,
            dialed(*(24 * day for day in range(7))),
            Refused(Reason.NUMBER_WEEK_LIMIT, NOW + timedelta(days=1)),
        ),
        (SEVEN, dialed(*(24 * day for day in range(1, 7))), Allowed()),
        # Both are closed: the one that opens last is told.
        (
            Limits(1, 2),
            dialed(1, 48),
            Refused(Reason.NUMBER_WEEK_LIMIT, NOW + timedelta(days=5)),
        ),
        (
            REG_F,
            NumberPast(spoken_at=ago(days=2)),
            Refused(Reason.RESTING, NOW + timedelta(days=5)),
        ),
        (REG_F, NumberPast(spoken_at=ago(days=7)), Allowed()),
        (Limits(), dialed(*range(100)), Allowed()),
    ],
)
def test_number_limits(limits: Limits, past: NumberPast, expected: Verdict) -> None:
    assert within_number_limits(limits, past, NOW) == expected


def test_a_time_that_the_person_asked_for_ends_the_rest_but_not_the_count() -> None:
    spoken = NumberPast((ago(hours=1),), ago(hours=1))
    assert within_number_limits(REG_F, spoken, NOW, asked_for=True) == Allowed()
    refused = within_number_limits(Limits(attempts_per_day=1), spoken, NOW, asked_for=True)
    assert refused == Refused(Reason.NUMBER_DAY_LIMIT, NOW + timedelta(hours=23))


@pytest.mark.parametrize("limits", [THREE, SEVEN, REG_F])
def test_nobody_could_say_means_no(limits: Limits) -> None:
    assert isinstance(within_number_limits(limits, None, NOW), Refused)


def test_without_a_limit_nobody_is_asked() -> None:
    assert looks_back(Limits()) is None
    assert within_number_limits(Limits(), None, NOW) == Allowed()


def test_the_strictest_of_each_kind_holds() -> None:
    assert strictest([THREE, REG_F, Limits(5, 5, 1)]) == Limits(3, 5, 7)
    assert strictest([]) == Limits()
    assert looks_back(Limits(rest_days_after_conversation=30)) == timedelta(days=30)
    assert looks_back(THREE) == timedelta(days=7)


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (LiveCalls(9, 9, 10), None),
        (LiveCalls(10, 0, 10), Reason.LIVE_LIMIT),
        (LiveCalls(5, 3, 10, 3), Reason.CAMPAIGN_LIVE_LIMIT),
        (LiveCalls(5, 2, 10, 3), None),
    ],
)
def test_live_limits(live: LiveCalls, reason: Reason | None) -> None:
    verdict = within_live_limits(live, NOW)
    assert (verdict.reason if isinstance(verdict, Refused) else None) == reason
