"""Calls that were asked for, and attempts of them as a claim and a dial would have left them."""

import uuid
from datetime import UTC, datetime
from typing import Any

import httpx

from outdial.domain.attempt_state import AttemptState
from outdial.operations.runtime import Runtime
from outdial.storage import attempts, leads
from outdial.storage.ids import new_id
from outdial.storage.tables import Attempt

PHONE = "+12125550100"


async def ask(api: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await api.post("/v1/calls", json={"to_number": PHONE, **more})
    assert answer.status_code == 201, answer.text
    call: dict[str, Any] = answer.json()
    return call


async def attempt_for(
    stores: Runtime, lead_id: str, state: AttemptState, sid: str | None = None
) -> uuid.UUID:
    """An attempt of this lead, as a claim and a dial would have left it."""
    async with stores.sessions.begin() as session:
        lead = await leads.get(session, uuid.UUID(lead_id))
        assert lead is not None
        contact = (await leads.contacts_of(session, [lead.id]))[lead.id][0]
        attempt = Attempt(
            id=new_id(),
            lead_id=lead.id,
            contact_id=contact.id,
            campaign_id=lead.campaign_id,
            template_id=lead.template_id,
            phone=contact.phone,
            caller_number="+14155550199",
            state=state,
            intent_at=None if state == AttemptState.QUEUED else datetime.now(UTC),
            call_sid=sid,
        )
        session.add(attempt)
        await session.flush()
        assert await leads.activate(session, lead.id, attempt.id)
    return attempt.id


async def read(stores: Runtime, attempt_id: uuid.UUID) -> Attempt:
    async with stores.sessions() as session:
        found = await attempts.get(session, attempt_id)
    assert found is not None
    return found
