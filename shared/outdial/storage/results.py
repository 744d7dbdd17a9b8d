"""What came of a campaign: one row a lead, read page by page, for export."""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.engine import Sessions
from outdial.storage.leads import contacts_of
from outdial.storage.tables import Attempt, Contact, Lead, Recording

_PAGE = 500


@dataclass(frozen=True)
class LeadResult:
    """One lead, with the contact who was called last (or is called next) and its last call."""

    lead: Lead
    contacts: Sequence[Contact]
    contact: Contact | None
    attempts: int  # spent
    last: Attempt | None
    recorded: bool


async def results_of(sessions: Sessions, campaign_id: uuid.UUID) -> AsyncIterator[list[LeadResult]]:
    """Every lead of a campaign, in the order in which they came, page by page.

    Each page is a short transaction of its own: a slow reader holds nothing.
    """
    after: uuid.UUID | None = None
    while True:
        async with sessions() as session:
            page = await _page(session, campaign_id, after)
        yield page
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
    contacts = await contacts_of(session, ids)
    by_id = {contact.id: contact for several in contacts.values() for contact in several}
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
        own = contacts.get(lead.id, [])
        contact = called or next((c for c in own if c.position == lead.contact_position), None)
        has_recording = attempt is not None and attempt.id in recorded
        found.append(LeadResult(lead, own, contact, spent.get(lead.id, 0), attempt, has_recording))
    return found


async def _spent(session: AsyncSession, lead_ids: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    rows = await session.execute(
        select(Attempt.lead_id, func.count())
        .where(Attempt.lead_id.in_(lead_ids), Attempt.spent.is_not(False))
        .group_by(Attempt.lead_id)
    )
    return {lead_id: count for lead_id, count in rows if lead_id is not None}
