"""A small world in the database: one running campaign, and a way to put leads into it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage import attempts, leads
from outdial.storage.engine import Sessions
from outdial.storage.ids import new_id
from outdial.storage.tables import Contact


@dataclass
class World:
    """Rows that other rows need."""

    sessions: Sessions
    template_id: UUID
    campaign_id: UUID
    _phones: Iterator[int] = field(default_factory=lambda: count(2_025_550_100))

    def lead(self, **values: Any) -> leads.NewLead:
        """A lead of the campaign, with one contact at a number of its own."""
        contact = leads.NewContact(f"+1{next(self._phones)}")
        return leads.NewLead(
            self.campaign_id, self.template_id, **{"contacts": (contact,), **values}
        )

    async def insert(self, *new: leads.NewLead) -> list[UUID]:
        """Write leads, due now; their ids."""
        async with self.sessions.begin() as session:
            await leads.insert(session, new, datetime.now(UTC))
        return [lead.id for lead in new]

    async def contact_of(self, session: AsyncSession, lead_id: UUID) -> Contact:
        """The first contact of a lead."""
        return (await leads.contacts_of(session, [lead_id]))[lead_id][0]

    async def row(self, session: AsyncSession, lead_id: UUID, **values: Any) -> dict[str, Any]:
        """A queued attempt of a lead, as `insert_queued` takes it."""
        contact = await self.contact_of(session, lead_id)
        return {
            "id": new_id(),
            "lead_id": lead_id,
            "contact_id": contact.id,
            "campaign_id": self.campaign_id,
            "template_id": self.template_id,
            "phone": contact.phone,
            "caller_number": "+15005550006",
            **values,
        }

    async def attempt(self, **values: Any) -> UUID:
        """A queued attempt of a new lead, which is active."""
        (lead_id,) = await self.insert(self.lead())
        async with self.sessions.begin() as session:
            row = await self.row(session, lead_id, **values)
            assert await attempts.insert_queued(session, [row]) == {row["id"]}
            assert await leads.activate(session, lead_id, row["id"])
        return UUID(str(row["id"]))
