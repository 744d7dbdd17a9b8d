"""Sweep: queued attempts that nobody placed in time give their leads back, unspent."""

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState
from outdial.domain.call_events import Event
from outdial.operations.dial_events import dialer_event
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import Locked, settle_attempt
from outdial.storage import attempts
from outdial.storage.lost_work import database_now


async def release_expired_claims(runtime: Runtime) -> int:
    """How many were released. One that turned `dialing` meanwhile is left alone."""
    async with runtime.sessions() as session:
        expired = await attempts.expired_claims(session)
    return sum(
        [
            await settle_attempt(runtime, attempt_id, append=_claim_expired) is not None
            for attempt_id in expired
        ]
    )


async def _claim_expired(session: AsyncSession, locked: Locked) -> Event | None:
    attempt = locked.attempt
    if attempt.state != AttemptState.QUEUED or attempt.claim_expires_at is None:
        return None
    if attempt.claim_expires_at >= await database_now(session):
        return None
    return dialer_event("claim_expired")
