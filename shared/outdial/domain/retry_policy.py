"""When do we call again? Everything about it is on this page.

Contacts are called in order and only forward: A, then B, then C. Only spent attempts count toward
a maximum (`domain/spent.py`). A time that the person asked for outranks the policy.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise, takewhile

from outdial.domain.attempt_state import StopReason
from outdial.domain.call_outcome import Facts, Outcome
from outdial.domain.call_template import Retry
from outdial.domain.lead_state import ScheduledBy

MAX_CALLBACKS = 5
"""How often one lead may be called because the person asked for later: nobody is asked for ever."""

SOONEST_CALLBACK = timedelta(minutes=1)
UNSPENT_BACKOFF = timedelta(seconds=5)  # doubled by each further unspent try
UNSPENT_BACKOFF_CAP = timedelta(minutes=15)

_ALWAYS_FINISH = frozenset({Outcome.OPTED_OUT, Outcome.EXPIRED})
_COOLS_DOWN_LIKE = {Outcome.VOICEMAIL_LEFT: "machine"}


@dataclass(frozen=True)
class Tried:
    """One ended attempt of a lead."""

    contact: int  # position
    outcome: Outcome
    spent: bool
    ended_at: datetime
    stop_reason: StopReason | None = None
    asked_back: bool = False  # the person asked to be called at another time


@dataclass(frozen=True)
class LeadView:
    """What the rule needs of a lead."""

    contacts: int  # how many there are
    expires_at: datetime | None = None


@dataclass(frozen=True)
class RetryAt:
    """Call the same contact again."""

    contact: int
    at: datetime
    by: ScheduledBy = ScheduledBy.POLICY


@dataclass(frozen=True)
class NextContact:
    """Call the next contact of the lead."""

    contact: int
    at: datetime


@dataclass(frozen=True)
class Finish:
    """Call no more."""

    outcome: Outcome


Decision = RetryAt | NextContact | Finish


def decide_next(
    policy: Retry, lead: LeadView, history: Sequence[Tried], facts: Facts, now: datetime
) -> Decision:
    """What a lead does after its last attempt; `history` holds all of them, the oldest first."""
    last = history[-1]
    decision = _wish(policy, lead, history, facts, now)
    if isinstance(decision, Finish):
        return decision
    if lead.expires_at is not None and decision.at >= lead.expires_at:
        return Finish(last.outcome if last.outcome is Outcome.COMPLETED else Outcome.EXPIRED)
    return Finish(last.outcome) if _beyond_window(policy, history, decision) else decision


def _wish(
    policy: Retry, lead: LeadView, history: Sequence[Tried], facts: Facts, now: datetime
) -> Decision:
    """The decision, as long as the lead lives."""
    last = history[-1]
    if last.stop_reason not in {None, StopReason.ZOMBIE} or last.outcome in _ALWAYS_FINISH:
        return Finish(last.outcome)
    if not last.spent:
        if last.outcome is Outcome.SUPPRESSED:
            return pass_over(lead, last.contact, last.outcome, now)
        return RetryAt(last.contact, now + unspent_backoff(unspent_in_a_row(history)))
    if facts.callback_at is not None and _callbacks(history) <= MAX_CALLBACKS:
        return RetryAt(last.contact, _callback(policy, facts.callback_at, now), ScheduledBy.PERSON)
    if last.outcome in policy.finish_on or _counted(history) > policy.max_retries:
        return Finish(last.outcome)
    if last.outcome in policy.next_contact_on:
        return pass_over(lead, last.contact, last.outcome, now)
    return _again(policy, lead, history, now)


def _again(policy: Retry, lead: LeadView, history: Sequence[Tried], now: datetime) -> Decision:
    """The same contact after a cooldown, or the next one when this one was called enough."""
    last = history[-1]
    cooldown = _cooldown(policy, last.outcome)
    if cooldown is None:
        return Finish(last.outcome)
    if policy.per_contact is not None and _counted(history, last.contact) >= policy.per_contact:
        return pass_over(lead, last.contact, last.outcome, now)
    return RetryAt(last.contact, max(now, last.ended_at + cooldown))


def pass_over(lead: LeadView, contact: int, outcome: Outcome, now: datetime) -> Decision:
    """Leave a contact for good: the next one at once, or the end of the lead.

    Also for a contact whose number turns out to be suppressed before it was dialed.
    """
    if contact + 1 < lead.contacts:
        return NextContact(contact + 1, now)
    return Finish(outcome)


def _beyond_window(
    policy: Retry, history: Sequence[Tried], decision: RetryAt | NextContact
) -> bool:
    """Whether the policy's window, open since the first spent attempt, is closed by then."""
    first = next((tried for tried in history if tried.spent), None)
    asked = isinstance(decision, RetryAt) and decision.by is ScheduledBy.PERSON
    if policy.window_hours is None or first is None or asked:
        return False
    return decision.at > first.ended_at + timedelta(hours=policy.window_hours)


def unspent_in_a_row(history: Sequence[Tried]) -> int:
    """How many of the last attempts, without a break, did not count."""
    return sum(1 for _ in takewhile(lambda tried: not tried.spent, reversed(history)))


def unspent_backoff(tries: int) -> timedelta:
    """How long to wait after so many tries that did not count. It never gives up: time does."""
    doubled: int = 2 ** min(max(tries, 1) - 1, 16)
    return min(UNSPENT_BACKOFF * doubled, UNSPENT_BACKOFF_CAP)


def _counted(history: Sequence[Tried], contact: int | None = None) -> int:
    """Spent attempts (of one contact, or all), without those that the person asked for."""
    spent = [tried for tried in history if tried.spent]
    ours = spent[:1] + [after for before, after in pairwise(spent) if not before.asked_back]
    return sum(1 for tried in ours if contact in {None, tried.contact})


def _callbacks(history: Sequence[Tried]) -> int:
    """How often the person has asked for another time, the last attempt's wish included."""
    return sum(1 for tried in history if tried.spent and tried.asked_back)


def _callback(policy: Retry, asked: datetime, now: datetime) -> datetime:
    """The time asked for, not sooner than in a minute, nor later than the policy allows."""
    furthest = now + timedelta(days=policy.max_callback_days)
    return min(max(asked, now + SOONEST_CALLBACK), max(furthest, now + SOONEST_CALLBACK))


def _cooldown(policy: Retry, outcome: Outcome) -> timedelta | None:
    """How long to leave the person alone; None for an outcome that is never tried again."""
    reason = _COOLS_DOWN_LIKE.get(outcome, outcome.value)
    seconds: int | None = asdict(policy.cooldowns).get(reason)
    return None if seconds is None else timedelta(seconds=seconds)
