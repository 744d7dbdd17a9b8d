"""Which of our numbers a call comes from, and which should call no more."""

from datetime import UTC, datetime, timedelta

import pytest

from outdial.domain.caller_numbers import (
    Answers,
    CallerNumber,
    CallerRules,
    answer_rate_collapsed,
    choose_caller,
)
from outdial.domain.dial_gates import Reason, Refused

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
NEW_YORK, NEW_YORK_2, DENVER = "+12125550001", "+12125550002", "+13035550001"
TORONTO, LONDON = "+14165550001", "+442079460001"
FREE = CallerRules()


def own(phone: str, used: float | None = None, live: int = 0) -> CallerNumber:
    """`used`: so many minutes ago."""
    at = None if used is None else NOW - timedelta(minutes=used)
    return CallerNumber(phone, at, live)


def chosen(to: str, *pool: CallerNumber, rules: CallerRules = FREE) -> str | Reason:
    found = choose_caller(to, pool, rules, NOW)
    return found.reason if isinstance(found, Refused) else found.phone


@pytest.mark.parametrize(
    ("to", "pool", "expected"),
    [
        ("+12125559999", [own(DENVER), own(NEW_YORK), own(LONDON)], NEW_YORK),  # its area code
        ("+17205559999", [own(LONDON), own(DENVER)], DENVER),  # its country
        ("+442079469999", [own(DENVER), own(LONDON, 1)], LONDON),
        ("+14165559999", [own(NEW_YORK), own(TORONTO, 1)], TORONTO),  # Canada shares the +1
        ("+33142685300", [own(NEW_YORK, 2), own(LONDON, 3)], LONDON),  # none is near: the rested
        # Rotation: the one that rested longest, a new one first.
        ("+12125559999", [own(NEW_YORK, 1), own(NEW_YORK_2, 2)], NEW_YORK_2),
        ("+12125559999", [own(NEW_YORK, 99), own(NEW_YORK_2)], NEW_YORK_2),
        ("+12125559999", [own(NEW_YORK_2), own(NEW_YORK)], NEW_YORK),
        # Given away at one moment: the one with fewer calls.
        ("+12125559999", [own(NEW_YORK, 0, 1), own(NEW_YORK_2, 0, 0)], NEW_YORK_2),
        ("+12125559999", [], Reason.NO_CALLER_NUMBER),
    ],
)
def test_choice(to: str, pool: list[CallerNumber], expected: object) -> None:
    assert chosen(to, *pool) == expected


def test_a_number_rests_and_another_of_its_country_takes_over() -> None:
    rules = CallerRules(rest=timedelta(minutes=5))
    near, far = own(NEW_YORK, 4), own(DENVER, 6)
    assert chosen("+12125559999", near, far, rules=rules) == DENVER
    assert chosen("+12125559999", own(NEW_YORK, 5), far, rules=rules) == NEW_YORK


def test_a_call_waits_rather_than_come_from_abroad() -> None:
    rules = CallerRules(rest=timedelta(minutes=5))
    pool = [own(NEW_YORK, 4), own(DENVER, 3), own(LONDON)]
    assert choose_caller("+12125559999", pool, rules, NOW) == Refused(
        Reason.CALLER_NUMBERS_BUSY, NOW + timedelta(minutes=1)
    )


def test_a_number_has_no_more_live_calls_than_it_may() -> None:
    rules = CallerRules(max_live=2)
    assert chosen("+12125559999", own(NEW_YORK, 1, 2), own(DENVER, 1, 1), rules=rules) == DENVER
    full = [own(NEW_YORK, 1, 2), own(DENVER, 1, 2)]
    assert chosen("+12125559999", *full, rules=rules) == Reason.CALLER_NUMBERS_BUSY


USUAL = Answers(1000, 300)
OTHERS = Answers(1000, 280)


@pytest.mark.parametrize(
    ("recent", "usual", "others", "collapses"),
    [
        (Answers(100, 5), USUAL, OTHERS, True),
        (Answers(100, 5), USUAL, Answers(), True),  # the only number
        (Answers(100, 11), USUAL, OTHERS, False),  # fell, and did not collapse
        (Answers(100, 30), USUAL, OTHERS, False),
        (Answers(49, 0), USUAL, OTHERS, False),  # too few to tell
        (Answers(100, 0), Answers(99, 40), OTHERS, False),
        (Answers(100, 5), USUAL, Answers(1000, 60), False),  # a bad day for everybody
        (Answers(60, 0), Answers(1000, 30), OTHERS, False),  # nobody ever answered it much
        (Answers(), Answers(), Answers(), False),
    ],
)
def test_collapse(recent: Answers, usual: Answers, others: Answers, collapses: bool) -> None:
    why = answer_rate_collapsed(recent, usual, others)
    assert (why is not None) == collapses


def test_a_collapse_is_told_in_words() -> None:
    assert answer_rate_collapsed(Answers(100, 5), USUAL, OTHERS) == (
        "answer rate fell from 30% to 5% over the last 100 calls"
    )
