"""Sweep: queued attempts whose hint was lost are hinted at again, by one sweep only."""

from datetime import timedelta

from outdial.operations.pace import chunk_size
from outdial.operations.runtime import Runtime
from outdial.storage import attempts, lost_work

PATIENCE = timedelta(seconds=5)
"""More than the two seconds' worth of dial tokens that may stand in the queue."""


async def republish_hints(runtime: Runtime) -> int:
    """How many attempts were hinted at."""
    async with runtime.sessions.begin() as session:
        forgotten = [
            attempt_id
            for attempt_id, hinted_at in await lost_work.unplaced_attempts(session, PATIENCE)
            if await attempts.mark_hinted(session, attempt_id, hinted_at)
        ]
    size = chunk_size(runtime.settings)
    for start in range(0, len(forgotten), size):
        runtime.hints.place(forgotten[start : start + size])
    return len(forgotten)
