"""Leads: see them, change them, call them off."""

import uuid
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query

from outdial.domain.errors import FieldProblem, InvalidInput, NotFound
from outdial.domain.lead_state import LeadState
from outdial.operations import change_lead
from outdial.operations.campaign_now import campaign_now
from outdial.operations.check_text import unstorable_in
from outdial.operations.runtime import Runtime
from outdial.storage import leads
from outdial.storage.tables import Lead
from outdial_api import pages, problems
from outdial_api.dependencies import OpenRuntime
from outdial_api.pages import Cursor, Limit, Page
from outdial_api.requests import LeadChanges
from outdial_api.routes.campaigns import Found
from outdial_api.security import Operator, Viewer
from outdial_api.views import LeadView

router = APIRouter(tags=["leads"], responses=problems.RESPONSES)
LeadId = Annotated[uuid.UUID, Path(description="The lead's id.")]


@router.get("/v1/campaigns/{campaign}/leads")
async def list_leads(
    runtime: OpenRuntime,
    found: Found,
    state: Annotated[LeadState | None, Query(description="Only those.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[LeadView]:
    """Leads of a campaign, in the order in which they came."""
    async with runtime.sessions() as session:
        rows = await leads.page(
            session, found.id, after=pages.id_of(cursor), limit=limit + 1, state=state
        )
        contacts = await leads.contacts_of(session, [row.id for row in rows])
        now = await campaign_now(runtime, session, found.id)
    return pages.page_of(
        rows,
        limit,
        lambda row: row.id,
        lambda row: LeadView.of(row, contacts.get(row.id, []), found, now.closed, now.held_up),
    )


@router.get("/v1/leads/{lead_id}")
async def get_lead(lead_id: LeadId, runtime: OpenRuntime, _key: Viewer) -> LeadView:
    """A lead: where it stands, and why it was not called if it was not."""
    async with runtime.sessions() as session:
        lead = await leads.get(session, lead_id)
    if lead is None:
        raise NotFound(f"There is no lead {lead_id}.")
    return await _shown(runtime, lead)


@router.patch("/v1/leads/{lead_id}")
async def patch_lead(
    lead_id: LeadId, body: LeadChanges, runtime: OpenRuntime, _key: Operator
) -> LeadView:
    """Hold or release a waiting lead, or change its variables and times."""
    return await _shown(runtime, await change_lead.change_lead(runtime, lead_id, _changes(body)))


@router.post("/v1/leads/{lead_id}/cancel")
async def cancel_lead(lead_id: LeadId, runtime: OpenRuntime, _key: Operator) -> LeadView:
    """Call a lead off. A call that goes on is hung up."""
    return await _shown(runtime, await change_lead.cancel_lead(runtime, lead_id))


@router.post("/v1/leads/{lead_id}/dial-now")
async def dial_now(lead_id: LeadId, runtime: OpenRuntime, _key: Operator) -> LeadView:
    """Let a waiting lead be due now. Hours, limits, pauses and opt-outs still hold."""
    return await _shown(runtime, await change_lead.dial_now(runtime, lead_id))


def _changes(body: LeadChanges) -> change_lead.LeadChange:
    given = body.model_dump(exclude_unset=True)
    problems_found = [
        FieldProblem(name, "needs an offset, like 2026-11-24T09:00:00-05:00")
        for name in ("not_before", "expires_at")
        if given.get(name) is not None and given[name].tzinfo is None
    ]
    if unstorable_in(given.get("variables") or {}):
        problems_found.append(FieldProblem("variables", "hold a character that is no text"))
    if given.get("expires_at") and not problems_found and given["expires_at"] <= datetime.now(UTC):
        problems_found.append(FieldProblem("expires_at", "is in the past"))
    if problems_found:
        raise InvalidInput("The request is not valid.", problems_found)
    return change_lead.LeadChange(given)


async def _shown(runtime: Runtime, lead: Lead) -> LeadView:
    async with runtime.sessions() as session:
        contacts = await leads.contacts_of(session, [lead.id])
        now = await campaign_now(runtime, session, lead.campaign_id)
    own = contacts.get(lead.id, [])
    return LeadView.of(lead, own, now.campaign, now.closed, now.held_up)
