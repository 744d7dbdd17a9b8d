"""How often calls from each number of ours were answered by a person."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_outcome import Outcome
from outdial.domain.caller_numbers import RECENT, USUAL, Answers
from outdial.storage.number_history import COUNTS
from outdial.storage.tables import Attempt

_MACHINES = (Outcome.MACHINE, Outcome.VOICEMAIL_LEFT, Outcome.FAX)
_ANSWERED = Attempt.answered_at.is_not(None) & Attempt.outcome.not_in(_MACHINES)


@dataclass(frozen=True)
class CallerAnswers:
    """One number's calls of the last day, and of the two weeks before it."""

    recent: Answers
    usual: Answers


async def answers_by_caller(session: AsyncSession, now: datetime) -> dict[str, CallerAnswers]:
    """Of every number that called within two weeks and a day."""
    recent = Attempt.intent_at > now - RECENT
    rows = await session.execute(
        select(
            Attempt.caller_number,
            func.count().filter(recent),
            func.count().filter(recent, _ANSWERED),
            func.count().filter(~recent),
            func.count().filter(~recent, _ANSWERED),
        )
        .where(COUNTS, Attempt.queued_at > now - RECENT - USUAL)
        .group_by(Attempt.caller_number)
    )
    return {
        phone: CallerAnswers(Answers(calls, answered), Answers(before, before_answered))
        for phone, calls, answered, before, before_answered in rows.tuples()
    }
