"""What of a campaign decides whether any of its leads is called now: asked once for many leads."""

import uuid
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.dial_gates import Reason
from outdial.domain.refusal_words import NO_REDIS
from outdial.operations.ask_in_time import Away, ask_in_time
from outdial.operations.runtime import Runtime
from outdial.operations.why_not_called import Closed
from outdial.routing.slot_reservation import free_slots
from outdial.storage import attempts, campaign_zones, campaigns
from outdial.storage.tables import Campaign

PATIENCE_SECONDS = 0.5
"""For Redis: without it nobody is dialed, and that is the answer."""


@dataclass(frozen=True)
class CampaignNow:
    """A campaign, its places that are closed, and what keeps every lead that is due waiting."""

    campaign: Campaign | None
    closed: Closed
    held_up: str | None  # as a refusal: then the claim looks at no lead, and refuses none


async def campaign_now(
    runtime: Runtime, session: AsyncSession, campaign_id: uuid.UUID
) -> CampaignNow:
    """How it stands at this moment."""
    campaign = await campaigns.get(session, campaign_id)
    closed = await campaign_zones.closed_places(session, campaign_id)
    return CampaignNow(campaign, closed, await _held_up(runtime, session, campaign))


async def _held_up(
    runtime: Runtime, session: AsyncSession, campaign: Campaign | None
) -> str | None:
    """The limit that a claim would meet first, before it looks at a lead."""
    live = await attempts.count_live(session)
    if sum(live.values()) >= runtime.settings.max_live_calls:
        return Reason.LIVE_LIMIT
    most = campaign.max_live_calls if campaign else None
    if campaign is not None and most is not None and live.get(campaign.id, 0) >= most:
        return Reason.CAMPAIGN_LIVE_LIMIT
    if runtime.settings.routing == "static":
        return None
    free = await ask_in_time(PATIENCE_SECONDS, free_slots(runtime.redis))
    if isinstance(free, Away):
        return NO_REDIS
    return None if free > 0 else Reason.NO_MEDIA_SLOT
