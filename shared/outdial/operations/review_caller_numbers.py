"""Sweep: numbers of ours that people stopped answering are set aside (a spam label, for one)."""

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.caller_numbers import Answers, answer_rate_collapsed
from outdial.observability.metrics import SET_ASIDE
from outdial.operations.runtime import Runtime
from outdial.storage import campaigns, numbers
from outdial.storage.caller_answers import CallerAnswers, answers_by_caller
from outdial.storage.lost_work import database_now

_log = structlog.get_logger(__name__)

EVERY_SECONDS = 600
"""Two weeks of calls are counted: not at every sweep."""

_DONE = "outdial:caller-numbers-reviewed"


async def review_caller_numbers(runtime: Runtime) -> int:
    """How many were set aside."""
    if not await runtime.redis.set(_DONE, "1", nx=True, ex=EVERY_SECONDS):
        return 0
    return await set_aside_collapsed(runtime)


async def set_aside_collapsed(runtime: Runtime) -> int:
    """The same, now. The last number of a deployment or a campaign stays: it is only reported."""
    count = 0
    async with runtime.sessions.begin() as session:
        answers = await answers_by_caller(session, await database_now(session))
        for phone, seen in answers.items():
            why = answer_rate_collapsed(seen.recent, seen.usual, _others(answers, phone))
            if why is None or await numbers.is_set_aside(session, phone):
                continue
            if await _is_last(session, phone):
                _log.warning("last_number_collapsed", caller=phone, reason=why)
            elif await numbers.set_aside(session, phone, why):
                SET_ASIDE.labels("answer_rate").inc()
                _log.error("number_set_aside", caller=phone, reason=why)
                count += 1
    return count


def _others(answers: dict[str, CallerAnswers], phone: str) -> Answers:
    recent = [seen.recent for other, seen in answers.items() if other != phone]
    return Answers(sum(one.calls for one in recent), sum(one.answered for one in recent))


async def _is_last(session: AsyncSession, phone: str) -> bool:
    """Whether somebody could call from no number any more."""
    rows = await numbers.all_numbers(session)
    active = {row.phone for row in rows if row.status == "active"} - {phone}
    gone = {row.phone for row in rows if row.status != "active"} | {phone}
    pools = await campaigns.running_pools(session)
    return not active or any(phone in pool and not set(pool) - gone for pool in pools)
