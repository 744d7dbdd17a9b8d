"""Queries on campaigns."""

import uuid
from collections.abc import Iterable

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.campaign_zones import is_closed
from outdial.storage.leads import IS_DUE
from outdial.storage.row_locks import locking
from outdial.storage.tables import Campaign, Lead


async def get(session: AsyncSession, campaign_id: uuid.UUID) -> Campaign | None:
    """One campaign."""
    return await session.get(Campaign, campaign_id)


async def by_name(session: AsyncSession, name: str) -> Campaign | None:
    """The campaign of this name."""
    found: Campaign | None = await session.scalar(select(Campaign).where(Campaign.name == name))
    return found


async def newest_names(session: AsyncSession, limit: int = 1000) -> list[str]:
    """Names of campaigns, the newest first."""
    names = select(Campaign.name).order_by(Campaign.created_at.desc()).limit(limit)
    return list(await session.scalars(names))


async def change_status(
    session: AsyncSession,
    campaign_id: uuid.UUID,
    allowed: Iterable[str],
    to: str,
    reason: str | None = None,
) -> bool:
    """Move a campaign from one of `allowed` to `to`; False if it stands elsewhere.

    `reason`: why it is paused, when nobody asked for it.
    """
    stamps: dict[str, object] = {"paused_reason": reason}
    if to == "running":
        stamps["started_at"] = func.coalesce(Campaign.started_at, func.now())
    elif to == "canceled":
        stamps["canceled_at"] = func.now()
    changed = await session.scalar(
        update(Campaign)
        .where(Campaign.id == campaign_id, Campaign.status.in_(list(allowed)))
        .values(status=to, **stamps)
        .returning(Campaign.id)
    )
    return changed is not None


async def with_due_leads(session: AsyncSession) -> list[Campaign]:
    """Running campaigns in which a lead's time has come, and which are not closed for the night."""
    # The earliest, and not whether one exists: for that the planner would rather read the table
    # from its beginning, past every lead that is finished or waits for tomorrow.
    earliest = (
        select(func.min(Lead.next_attempt_at))
        .where(Lead.campaign_id == Campaign.id, IS_DUE)
        .scalar_subquery()
    )
    return list(
        await session.scalars(
            select(Campaign)
            .where(Campaign.status == "running", ~is_closed(), earliest <= func.now())
            .order_by(Campaign.id)
        )
    )


async def page(
    session: AsyncSession, *, before: uuid.UUID | None = None, limit: int = 100
) -> list[Campaign]:
    """A page of campaigns, the newest first."""
    query = select(Campaign).order_by(Campaign.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Campaign.id < before)
    return list(await session.scalars(query))


async def add(session: AsyncSession, campaign: Campaign) -> bool:
    """Write a new campaign; False if its name, or its id, is taken."""
    written = await session.scalar(
        insert(Campaign)
        .values(
            id=campaign.id,
            name=campaign.name,
            template_id=campaign.template_id,
            status=campaign.status,
            caller_numbers=campaign.caller_numbers,
            hours=campaign.hours,
            max_live_calls=campaign.max_live_calls,
            started_at=campaign.started_at,
            zones_known=True,  # it has no lead yet
        )
        .on_conflict_do_nothing()
        .returning(Campaign.id)
    )
    return written is not None


async def lock(session: AsyncSession, campaign_id: uuid.UUID) -> Campaign | None:
    """One campaign, locked until the transaction ends and read afresh."""
    # No stronger: the rows of leads and attempts that point here must not wait for it.
    return await session.get(
        Campaign, campaign_id, with_for_update={"key_share": True}, populate_existing=True
    )


async def share(session: AsyncSession, campaign_id: uuid.UUID) -> Campaign | None:
    """One campaign as it stands, which nobody changes until the transaction ends."""
    shared: Campaign | None = await session.scalar(_SHARE, {"id": campaign_id})
    return shared


_SHARE = locking(Campaign, read=True)


async def running_pools(session: AsyncSession) -> list[list[str]]:
    """The numbers that each running campaign may call from, where it names some."""
    rows = await session.scalars(
        select(Campaign.caller_numbers).where(
            Campaign.status == "running", func.cardinality(Campaign.caller_numbers) > 0
        )
    )
    return list(rows)
