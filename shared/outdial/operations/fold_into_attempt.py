"""What the events of an attempt say, written into its row."""

from dataclasses import asdict
from datetime import datetime

from outdial.domain.attempt_state import AttemptState, EndReason, Plan, StopReason, advance
from outdial.domain.call_outcome import Facts, outcome_of
from outdial.domain.fold_events import Folded
from outdial.domain.spent import is_spent
from outdial.storage.tables import Attempt, Json

_TIMES = ("initiated_at", "ringing_at", "answered_at")


def ends_now(folded: Folded, *, without_pod: bool) -> bool:
    """Whether everybody who can say something of the call has.

    An answered call has two witnesses, the carrier and the pod; `without_pod` waits for one.
    """
    return folded.state is AttemptState.ENDED or (folded.awaits_pod and without_pod)


def write_folded(attempt: Attempt, folded: Folded, now: datetime, *, ends: bool) -> bool:
    """Bring the row up to what is known; True if what the lead's decision rests on has changed.

    Forward only: what has ended stays ended, while its facts may still grow.
    """
    before = _grounds(attempt)
    for name in _TIMES:
        setattr(attempt, name, getattr(folded, name) or getattr(attempt, name))
    attempt.facts = facts_as_json(folded.facts)
    if ends or attempt.state == AttemptState.ENDED:
        _end(attempt, folded, now)
    else:
        attempt.state = advance(AttemptState(attempt.state), folded.state)
    return _grounds(attempt) != before


def _end(attempt: Attempt, folded: Folded, now: datetime) -> None:
    end_reason = folded.end_reason or EndReason(attempt.end_reason or EndReason.CARRIER)
    stop_reason = StopReason(attempt.stop_reason) if attempt.stop_reason else None
    attempt.state = AttemptState.ENDED
    attempt.ended_at = folded.ended_at or attempt.ended_at or now
    attempt.end_reason = end_reason
    attempt.spent = bool(attempt.spent) or is_spent(end_reason, folded.facts.error_code)
    attempt.outcome = outcome_of(folded.facts, Plan(attempt.plan), stop_reason, end_reason)
    attempt.claim_expires_at = None


def _grounds(attempt: Attempt) -> tuple[object, ...]:
    """What the lead's decision is taken on; other facts may change without its being retaken."""
    facts = attempt.facts or {}
    return attempt.outcome, attempt.spent, facts.get("callback_at"), facts.get("result")


def facts_as_json(facts: Facts) -> Json:
    """Facts for the row: times as ISO text, nothing that is not known."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(facts).items()
        if value is not None
    }
