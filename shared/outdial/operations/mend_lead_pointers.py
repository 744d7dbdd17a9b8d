"""Sweep: leads that still take an ended attempt for their live one are decided.

Ending an attempt and deciding its lead are one transaction, so none should be found.
"""

from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import settle_attempt
from outdial.storage import lost_work


async def mend_lead_pointers(runtime: Runtime) -> int:
    """How many leads were decided."""
    async with runtime.sessions() as session:
        ended = await lost_work.leads_of_ended_attempts(session)
    for attempt_id in ended:
        await settle_attempt(runtime, attempt_id)
    return len(ended)
