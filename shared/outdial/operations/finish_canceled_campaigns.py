"""A sweep: leads that still wait in a campaign that was canceled.

The process that canceled it died between its two transactions.
"""

from outdial.operations.control_campaign import end_waiting_leads
from outdial.operations.runtime import Runtime
from outdial.storage import campaigns


async def finish_canceled_campaigns(runtime: Runtime) -> int:
    """Finish them as canceled; how many there were. Live calls are left to finish."""
    async with runtime.sessions() as session:
        found = await campaigns.canceled_with_waiting_leads(session)
    return sum([await end_waiting_leads(runtime, campaign_id, "finish") for campaign_id in found])
