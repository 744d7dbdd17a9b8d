"""Sweep: leads that came back to wait, or were imported, while their campaign was canceled."""

from outdial.operations.runtime import Runtime
from outdial.storage import lost_work


async def finish_canceled_leads(runtime: Runtime) -> int:
    """How many were finished as canceled."""
    async with runtime.sessions.begin() as session:
        return await lost_work.finish_leads_of_canceled_campaigns(session)
