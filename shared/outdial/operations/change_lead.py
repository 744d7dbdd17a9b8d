"""What an operator may do to one lead: cancel it, hold it, change it, have it called now."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState, StopReason
from outdial.domain.call_outcome import Outcome
from outdial.domain.errors import Conflict, FieldProblem, InvalidInput, NotFound
from outdial.domain.lead_state import LeadState
from outdial.domain.placeholders import CONTACT_VARIABLES, variables_of
from outdial.operations.parse_template import template_of
from outdial.operations.runtime import Runtime
from outdial.operations.stop_attempts import Stopped, act_on, stop_attempts
from outdial.storage import attempts, leads, templates
from outdial.storage.tables import Lead


async def cancel_lead(runtime: Runtime, lead_id: uuid.UUID) -> Lead:
    """Finish a lead as canceled; a call that is going on is hung up, and settling finishes it.

    Raises:
        NotFound: there is no such lead.
        Conflict: it has finished with another outcome.

    """
    stopped = Stopped()
    async with runtime.sessions.begin() as session:
        lead = await _locked(session, lead_id)
        if lead.state == LeadState.FINISHED and lead.outcome != Outcome.CANCELED:
            raise Conflict(f"This lead has finished: {lead.outcome}.")
        if lead.live_attempt_id is not None:
            attempt = await attempts.lock(session, lead.live_attempt_id)
            live = [attempt] if attempt and attempt.state != AttemptState.ENDED else []
            stopped = await stop_attempts(session, live, StopReason.CANCELED)
        elif lead.state != LeadState.FINISHED:
            await leads.finish(session, lead_id, Outcome.CANCELED)
    await act_on(runtime, stopped)
    return await _read(runtime, lead_id)


async def dial_now(runtime: Runtime, lead_id: uuid.UUID) -> Lead:
    """Let a waiting lead be due at once. No gate is bypassed: hours, limits and pauses hold.

    Raises:
        NotFound: there is no such lead.
        Conflict: it does not wait.

    """
    async with runtime.sessions.begin() as session:
        lead = await _locked(session, lead_id)
        if not await leads.dial_now(session, lead_id):
            raise Conflict(f"This lead does not wait to be called: it is {lead.state}.")
    runtime.hints.dispatch()
    return await _read(runtime, lead_id)


@dataclass(frozen=True)
class LeadChange:
    """What is given is changed: held, variables, not_before, expires_at (checked by the door)."""

    given: Mapping[str, Any]


async def change_lead(runtime: Runtime, lead_id: uuid.UUID, change: LeadChange) -> Lead:
    """Change a waiting lead.

    Raises:
        NotFound: there is no such lead.
        Conflict: it does not wait.
        InvalidInput: the template would be spoken with a hole in it.

    """
    async with runtime.sessions.begin() as session:
        lead = await _locked(session, lead_id)
        columns = await _columns(session, lead, change.given)
        if not await leads.change(session, lead_id, **columns):
            raise Conflict(f"Only a waiting lead can be changed: this one is {lead.state}.")
    runtime.hints.dispatch()
    return await _read(runtime, lead_id)


async def _columns(
    session: AsyncSession, lead: Lead, given: Mapping[str, Any]
) -> dict[str, object]:
    columns: dict[str, object] = {}
    if given.get("held") is not None:
        columns["held_at"] = (lead.held_at or datetime.now(UTC)) if given["held"] else None
    if given.get("variables"):
        columns["variables"] = await _merged(session, lead, given["variables"])
    for name in ("not_before", "expires_at"):
        if name in given:
            columns[name] = given[name]
    not_before = given.get("not_before")
    if not_before is not None and (
        lead.next_attempt_at is None or not_before > lead.next_attempt_at
    ):
        columns["next_attempt_at"] = not_before
    return columns


async def _merged(
    session: AsyncSession, lead: Lead, given: Mapping[str, object]
) -> dict[str, object]:
    merged = {k: v for k, v in (lead.variables | dict(given)).items() if v is not None}
    template = await templates.get(session, lead.template_id)
    wanted = variables_of(template_of(template.body)) if template else frozenset[str]()
    missing = sorted(name for name in wanted - CONTACT_VARIABLES if merged.get(name) in (None, ""))
    if missing:
        problem = FieldProblem(f"variables.{missing[0]}", "is named by the template")
        raise InvalidInput("The lead is not valid.", [problem])
    return merged


async def _locked(session: AsyncSession, lead_id: uuid.UUID) -> Lead:
    lead = await leads.lock(session, lead_id)
    if lead is None:
        raise NotFound(f"There is no lead {lead_id}.")
    return lead


async def _read(runtime: Runtime, lead_id: uuid.UUID) -> Lead:
    async with runtime.sessions() as session:
        lead = await leads.get(session, lead_id)
    if lead is None:
        raise NotFound(f"There is no lead {lead_id}.")
    return lead
