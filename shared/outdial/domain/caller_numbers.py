"""Which of our numbers a call comes from, and when one of them should call no more."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from outdial.domain.dial_gates import LOOK_AGAIN, SOON, Reason, Refused
from outdial.domain.phone_number import area_of, country_of

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class CallerNumber:
    """A number of ours: when it last called, and how many of its calls are live."""

    phone: str
    last_used_at: datetime | None = None
    live: int = 0


@dataclass(frozen=True)
class CallerRules:
    """How long a number rests between two calls, and how many live calls it may have."""

    rest: timedelta = timedelta()
    max_live: int | None = None


def choose_caller(
    to: str, pool: Sequence[CallerNumber], rules: CallerRules, now: datetime
) -> CallerNumber | Refused:
    """The number to call `to` from: near to it, and of those the one that rested longest.

    Where the pool has numbers of the same country, only they are taken, and one with the same area
    code before the others. When all that may be taken rest or are busy, the call waits: a call from
    abroad would be answered less.
    """
    if not pool:
        return Refused(Reason.NO_CALLER_NUMBER, now + LOOK_AGAIN)
    local = [own for own in pool if country_of(own.phone) == country_of(to)] or list(pool)
    ready = [own for own in local if is_ready(own, rules, now)]
    if not ready:
        return Refused(Reason.CALLER_NUMBERS_BUSY, _ready_at(local, rules, now))
    area = area_of(to)
    return min(
        ready,
        key=lambda own: (
            area_of(own.phone) != area,
            own.last_used_at or _NEVER,
            own.live,  # one dispatch gives several away at the same moment
            own.phone,
        ),
    )


def is_ready(own: CallerNumber, rules: CallerRules, now: datetime) -> bool:
    """It has rested, and has room for one more call."""
    rested = own.last_used_at is None or own.last_used_at + rules.rest <= now
    return rested and (rules.max_live is None or own.live < rules.max_live)


def _ready_at(local: Iterable[CallerNumber], rules: CallerRules, now: datetime) -> datetime:
    """When the first of them has rested; a live call may end at any moment."""
    rests = [own.last_used_at + rules.rest for own in local if own.last_used_at is not None]
    return max(now + timedelta(seconds=1), min(rests, default=now + SOON))


@dataclass(frozen=True)
class Answers:
    """How many calls were made, and how many of them somebody or something answered."""

    calls: int = 0
    answered: int = 0

    @property
    def rate(self) -> float:
        """From 0 to 1."""
        return self.answered / self.calls if self.calls else 0.0


RECENT = timedelta(days=1)
USUAL = timedelta(days=14)
LEAST_RECENT_CALLS = 50
LEAST_USUAL_CALLS = 100
COLLAPSE = 3.0
"""A rate that fell to less than a third is a collapse: what a spam label does to a number."""

DEVIATIONS = 3.0
"""So many standard deviations below what was to be expected are no chance."""


def answer_rate_collapsed(recent: Answers, usual: Answers, others: Answers) -> str | None:
    """Why a number should be set aside, or None.

    `recent` are its calls of the last day, `usual` those of the two weeks before, `others` what the
    deployment's other numbers saw in the last day: where they fell as far, the reason is not the
    number (a holiday, a list of bad leads).
    """
    if recent.calls < LEAST_RECENT_CALLS or usual.calls < LEAST_USUAL_CALLS:
        return None
    expected = usual.rate * recent.calls
    if recent.rate * COLLAPSE > usual.rate:
        return None
    if expected - recent.answered < DEVIATIONS * math.sqrt(max(expected, 1.0)):
        return None
    if others.calls >= LEAST_RECENT_CALLS and others.rate < usual.rate / 2:
        return None
    return (
        f"answer rate fell from {usual.rate:.0%} to {recent.rate:.0%} over the last "
        f"{recent.calls} calls"
    )
