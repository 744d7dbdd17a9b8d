"""Sweep: leads that expired while they wait, also where no claim looks at them.

A claim finishes those that it comes by. It looks at none of a campaign that is paused or a draft,
at none that is held, and at none before its next call is due: time passes there all the same.
"""

from outdial.domain.dial_gates import Reason
from outdial.observability.metrics import REFUSED
from outdial.operations.runtime import Runtime
from outdial.storage import lost_work


async def finish_expired_leads(runtime: Runtime) -> int:
    """How many were finished as expired."""
    async with runtime.sessions.begin() as session:
        count = await lost_work.finish_expired_leads(session)
    REFUSED.labels(Reason.EXPIRED).inc(count)  # as the claim counts those that it comes by
    return count
