"""Campaigns that a claim passes by: the hours are closed wherever one of their leads can be.

Found out once a closing, from a few dozen rows, and kept beside them (`campaign_zones.opens_at`):
until the first of them opens, no claim sees the campaign, and `GET /v1/leads/{id}` says why.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_template import Hours
from outdial.domain.campaign_hours import Place, openings
from outdial.domain.dial_gates import Reason
from outdial.observability.metrics import CLOSED
from outdial.operations.calling_rules import own_hours
from outdial.operations.parse_template import template_of
from outdial.storage import campaign_zones, campaigns, templates
from outdial.storage.tables import Campaign, CampaignZones

_log = structlog.get_logger(__name__)

_Rows = Sequence[CampaignZones]


async def close_for_the_night(
    session: AsyncSession, waiting: Sequence[Campaign], now: datetime
) -> list[Campaign]:
    """Those of `waiting` whose leads are to be looked at; the others are closed until they open."""
    known = [campaign.id for campaign in waiting if campaign.zones_known]
    places = await campaign_zones.of_campaigns(session, known) if known else {}
    closing = [
        campaign
        for campaign in waiting
        if (rows := places.get(campaign.id)) and await _openings(session, campaign, rows, now)
    ]
    closed = {campaign.id for campaign in closing if await _close(session, campaign.id, now)}
    return [campaign for campaign in waiting if campaign.id not in closed]


async def _close(session: AsyncSession, campaign_id: uuid.UUID, now: datetime) -> bool:
    """Asked again with its row shared: whoever changes the hours waits for us, or we see it."""
    campaign = await campaigns.share(session, campaign_id)
    rows = (await campaign_zones.of_campaigns(session, [campaign_id])).get(campaign_id, [])
    found = await _openings(session, campaign, rows, now) if campaign and rows else None
    if found is None:
        return False
    await campaign_zones.close(session, campaign_id, found)
    CLOSED.labels(Reason.OUTSIDE_HOURS).inc()
    _log.info("campaign_closed", campaign_id=str(campaign_id), until=str(min(found.values())))
    return True


async def _openings(
    session: AsyncSession, campaign: Campaign, rows: _Rows, now: datetime
) -> Mapping[campaign_zones.Key, datetime] | None:
    hours = await _hours(session, campaign, rows)
    places = [Place(hours[row.template_id], row.zones) for row in rows]
    opens = openings(places, now)
    if opens is None:
        return None
    keys = ((row.template_id, row.zones) for row in rows)
    return dict(zip(keys, opens, strict=True))


async def _hours(
    session: AsyncSession, campaign: Campaign, rows: _Rows
) -> Mapping[uuid.UUID, Hours]:
    """By template: each lead keeps the version that it was created with."""
    if campaign.hours is not None:
        return dict.fromkeys((row.template_id for row in rows), own_hours(campaign.hours))
    used = await templates.many(session, {row.template_id for row in rows})
    return {key: template_of(row.body).hours for key, row in used.items()}
