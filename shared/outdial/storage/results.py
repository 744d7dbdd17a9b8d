"""What came of a campaign: one row a lead, read page by page, for export."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from outdial.storage.tables import Attempt, Contact, Lead, Recording

_PAGE = 500


@dataclass(frozen=True)
class LeadResult:
    """One lead, with the contact who was called last (or is called next) and its last call."""

    lead: Lead
    contact: Contact | None
    attempts: int  # spent
    last: Attempt | None
    recorded: bool


async def results_of(
    sessions: async_sessionmaker[AsyncSession], campaign_id: uuid.UUID
) -> AsyncIterator[LeadResult]:
    """Every lead of a campaign, in the order in which they came.

    Each page is a short transaction of its own: a slow reader holds nothing.
    """
    after: uuid.UUID | None = None
    while True:
        async with sessions() as session:
            page = await _page(session, campaign_id, after)
        for result in page:
            yield result
        if len(page) < _PAGE:
            return
        after = page[-1].lead.id


async def _page(
    session: AsyncSession, campaign_id: uuid.UUID, after: uuid.UUID | None
) -> list[LeadResult]:
    query = select(Lead).where(Lead.campaign_id == campaign_id).order_by(Lead.id).limit(_PAGE)
    if after is not None:
        query = query.where(Lead.id > after)
    leads = list(await session.scalars(query))
    ids = [lead.id for lead in leads]
    contacts = {
        (contact.lead_id, contact.position): contact
        for contact in await session.scalars(select(Contact).where(Contact.lead_id.in_(ids)))
    }
    by_id = {contact.id: contact for contact in contacts.values()}
    spent = await _spent(session, ids)
    last = {
        attempt.lead_id: attempt
        for attempt in await session.scalars(
            select(Attempt)
            .distinct(Attempt.lead_id)
            .where(Attempt.lead_id.in_(ids))
            .order_by(Attempt.lead_id, Attempt.queued_at.desc(), Attempt.id.desc())
        )
    }
    recorded = set(
        await session.scalars(
            select(Recording.attempt_id).where(
                Recording.attempt_id.in_([attempt.id for attempt in last.values()])
            )
        )
    )
    found = []
    for lead in leads:
        attempt = last.get(lead.id)
        called = by_id.get(attempt.contact_id) if attempt and attempt.contact_id else None
        contact = called or contacts.get((lead.id, lead.contact_position))
        has_recording = attempt is not None and attempt.id in recorded
        found.append(LeadResult(lead, contact, spent.get(lead.id, 0), attempt, has_recording))
    return found


async def _spent(session: AsyncSession, lead_ids: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    rows = await session.execute(
        select(Attempt.lead_id, func.count())
        .where(Attempt.lead_id.in_(lead_ids), Attempt.spent.is_not(False))
        .group_by(Attempt.lead_id)
    )
    return {lead_id: count for lead_id, count in rows if lead_id is not None}
