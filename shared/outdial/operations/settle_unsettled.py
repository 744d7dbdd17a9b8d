"""Sweep: events that no worker has read, because a hint was lost or a worker died."""

from datetime import timedelta

from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import settle_attempt
from outdial.storage import call_events

PATIENCE = timedelta(seconds=2)
"""A hint needs some milliseconds; what is older than this was lost."""


async def settle_unsettled(runtime: Runtime) -> int:
    """How many attempts were settled."""
    async with runtime.sessions() as session:
        waiting = await call_events.unsettled_attempts(session, PATIENCE)
    for attempt_id in waiting:
        await settle_attempt(runtime, attempt_id)
    return len(waiting)
