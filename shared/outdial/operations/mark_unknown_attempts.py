"""Sweep: a POST was begun and nothing was heard of it. The phone may ring: nobody knows.

Whoever posted may have died before or after the request went out. Such an attempt is never dialed
again; `reconcile_unknown_attempts` asks the carrier for it.
"""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState
from outdial.domain.call_events import Event
from outdial.operations.dial_events import dialer_event
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import Locked, settle_attempt
from outdial.storage import lost_work


async def mark_unknown_attempts(runtime: Runtime) -> int:
    """How many turned from `dialing` to `unknown`."""
    age = timedelta(seconds=runtime.settings.unknown_after_seconds)
    async with runtime.sessions() as session:
        found = await lost_work.dials_without_answer(session, age)
    return sum(
        [
            await settle_attempt(runtime, attempt_id, append=_unknown) is not None
            for attempt_id in found
        ]
    )


async def _unknown(_session: AsyncSession, locked: Locked) -> Event | None:
    attempt = locked.attempt
    if attempt.state != AttemptState.DIALING or attempt.call_sid is not None:
        return None
    return dialer_event("outcome_unknown", {"reason": "no answer was recorded"})
