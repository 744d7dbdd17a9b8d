"""Queries on where the leads of a campaign can be, and when the hours open there."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.tables import Campaign, CampaignZones

Zones = tuple[str, ...]
Key = tuple[uuid.UUID, Zones]  # template and zones


async def add(session: AsyncSession, places: Iterable[tuple[uuid.UUID, uuid.UUID, Zones]]) -> None:
    """Note that leads of a campaign and template can be in these zones."""
    rows = [  # in one order: two who note the same wait for each other, and not in a circle
        {"campaign_id": campaign_id, "template_id": template_id, "zones": zones}
        for campaign_id, template_id, zones in sorted(places)
    ]
    if rows:
        await session.execute(insert(CampaignZones).on_conflict_do_nothing(), rows)


async def of_campaigns(
    session: AsyncSession, campaign_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, list[CampaignZones]]:
    """Where the leads of each campaign can be, as it stands now."""
    found: dict[uuid.UUID, list[CampaignZones]] = {}
    rows = await session.scalars(
        select(CampaignZones)
        .where(CampaignZones.campaign_id.in_(list(campaign_ids)))
        .execution_options(populate_existing=True)
    )
    for row in rows:
        found.setdefault(row.campaign_id, []).append(row)
    return found


async def close(
    session: AsyncSession, campaign_id: uuid.UUID, openings: Mapping[Key, datetime]
) -> None:
    """Write when each place opens; leads of this campaign are not looked at before the first."""
    for (template_id, zones), opens_at in openings.items():
        await session.execute(
            update(CampaignZones)
            .where(
                CampaignZones.campaign_id == campaign_id,
                CampaignZones.template_id == template_id,
                CampaignZones.zones == zones,
            )
            .values(opens_at=opens_at)
        )


async def forget_openings(session: AsyncSession, campaign_id: uuid.UUID) -> None:
    """The hours have changed: the next claim finds out anew."""
    await session.execute(
        update(CampaignZones).where(CampaignZones.campaign_id == campaign_id).values(opens_at=None)
    )


async def closed_until(session: AsyncSession, campaign_id: uuid.UUID) -> datetime | None:
    """Until when no lead of the campaign is looked at; None: they are looked at."""
    until: datetime | None = await session.scalar(
        select(first_opening())
        .select_from(Campaign)
        .where(Campaign.id == campaign_id, Campaign.status == "running", is_closed())
    )
    return until


async def closed_places(session: AsyncSession, campaign_id: uuid.UUID) -> dict[Key, datetime]:
    """The places of a campaign that were found closed, and until when."""
    rows = await session.scalars(
        select(CampaignZones).where(
            CampaignZones.campaign_id == campaign_id, CampaignZones.opens_at > func.now()
        )
    )
    return {(row.template_id, row.zones): row.opens_at for row in rows if row.opens_at}


def first_opening() -> ColumnElement[datetime]:
    """Of a campaign in a query: when the first place opens; before all time if one may be open."""
    unknown: ColumnElement[datetime] = literal_column("'-infinity'::timestamptz")
    return (
        select(func.min(func.coalesce(CampaignZones.opens_at, unknown)))
        .where(CampaignZones.campaign_id == Campaign.id)
        .scalar_subquery()
    )


def is_closed() -> ColumnElement[bool]:
    """Of a campaign in a query: it is known where its leads can be, and closed everywhere there."""
    return Campaign.zones_known & func.coalesce(first_opening() > func.now(), False)
