"""Somebody must not be called again: by anyone in the deployment, from this moment on."""

import uuid
from typing import Literal

from outdial.domain.attempt_state import StopReason
from outdial.operations.runtime import Runtime
from outdial.operations.stop_attempts import act_on, stop_attempts
from outdial.storage import attempts, locks, suppressions

SuppressionSource = Literal["call", "api", "import"]


async def suppress(
    runtime: Runtime,
    phone: str,
    reason: str,
    source: SuppressionSource,
    attempt_id: uuid.UUID | None = None,
) -> bool:
    """Suppress a number (E.164) and cut every live call to it; False if it was suppressed before.

    The call in which it was said (`attempt_id`) goes on to its goodbye. Dialing takes the same
    lock, so no attempt turns `dialing` once this has committed, and one that did just before is
    seen here and cut.
    """
    async with runtime.sessions.begin() as session:
        await locks.lock_number(session, phone)
        new = await suppressions.add(session, phone, reason, source, attempt_id)
        live = await attempts.lock_live_of_number(session, phone)
        others = [attempt for attempt in live if attempt.id != attempt_id]
        stopped = await stop_attempts(session, others, StopReason.OPTED_OUT)
    await act_on(runtime, stopped)
    return new


async def allow_again(runtime: Runtime, phone: str) -> bool:
    """Lift a suppression; False if there was none."""
    async with runtime.sessions.begin() as session:
        await locks.lock_number(session, phone)
        return await suppressions.remove(session, phone)
