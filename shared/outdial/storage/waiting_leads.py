"""Leads that wait, read lightly and page by page: for looking at all of them without dialing."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.lead_state import DUE_STATES
from outdial.storage.engine import Sessions
from outdial.storage.one_of import id_is_one_of
from outdial.storage.tables import Attempt, Contact, Lead

PAGE = 1000
_SAMPLE = 1000


@dataclass(frozen=True)
class WaitingContact:
    """A contact who may be called next."""

    position: int
    phone: str
    timezone: str | None


@dataclass(frozen=True)
class WaitingRow:
    """A waiting lead, with its contacts from the one who is called next."""

    id: uuid.UUID
    template_id: uuid.UUID
    due_at: datetime
    not_before: datetime | None
    expires_at: datetime | None
    held_at: datetime | None
    refusal: str | None
    scheduled_by: str
    contacts: tuple[WaitingContact, ...]


async def pages_of(
    sessions: Sessions, campaign_id: uuid.UUID
) -> AsyncIterator[tuple[AsyncSession, list[WaitingRow]]]:
    """Every waiting lead of a campaign, with the session that may ask more about the page.

    Each page is a short transaction of its own, and nothing of an earlier one is kept.
    """
    after: uuid.UUID | None = None
    while True:
        async with sessions() as session:
            page = await _page(session, campaign_id, after)
            if page:
                yield session, page
        if len(page) < PAGE:
            return
        after = page[-1].id


async def _page(
    session: AsyncSession, campaign_id: uuid.UUID, after: uuid.UUID | None
) -> list[WaitingRow]:
    query = (
        select(
            Lead.id,
            Lead.template_id,
            Lead.next_attempt_at,
            Lead.not_before,
            Lead.expires_at,
            Lead.held_at,
            Lead.refusal,
            Lead.scheduled_by,
            Lead.contact_position,
        )
        .where(Lead.campaign_id == campaign_id, Lead.state.in_(sorted(DUE_STATES)))
        .order_by(Lead.id)
        .limit(PAGE)
    )
    if after is not None:
        query = query.where(Lead.id > after)
    rows = (await session.execute(query)).all()
    contacts: dict[uuid.UUID, list[WaitingContact]] = {}
    found = await session.execute(
        select(Contact.lead_id, Contact.position, Contact.phone, Contact.timezone)
        .where(id_is_one_of(Contact.lead_id, [row.id for row in rows]))
        .order_by(Contact.position)
    )
    for lead_id, position, phone, timezone in found.tuples():
        contacts.setdefault(lead_id, []).append(WaitingContact(position, phone, timezone))
    return [
        WaitingRow(
            id=row.id,
            template_id=row.template_id,
            due_at=row.next_attempt_at,
            not_before=row.not_before,
            expires_at=row.expires_at,
            held_at=row.held_at,
            refusal=row.refusal,
            scheduled_by=row.scheduled_by,
            contacts=tuple(
                one for one in contacts.get(row.id, ()) if one.position >= row.contact_position
            ),
        )
        for row in rows
    ]


async def mean_call_seconds(
    session: AsyncSession, campaign_id: uuid.UUID
) -> tuple[int, float | None]:
    """How many of a campaign's last calls there are, and how long each held its line."""
    last = (
        select((Attempt.ended_at - Attempt.intent_at).label("length"))
        .where(
            Attempt.campaign_id == campaign_id,
            Attempt.spent.is_(True),
            Attempt.intent_at.is_not(None),
        )
        .order_by(Attempt.id.desc())
        .limit(_SAMPLE)
        .subquery()
    )
    count, mean = (
        (await session.execute(select(func.count(), func.avg(last.c.length)))).tuples().one()
    )
    return count, mean.total_seconds() if mean is not None else None
