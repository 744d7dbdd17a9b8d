"""Sweep: what was answered to requests with an Idempotency-Key, seven days ago and longer."""

from outdial.operations.runtime import Runtime
from outdial.storage import idempotency_keys


async def forget_old_requests(runtime: Runtime) -> int:
    """How many were forgotten."""
    async with runtime.sessions.begin() as session:
        return await idempotency_keys.remove_old(session)
