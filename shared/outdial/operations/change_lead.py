"""What an operator may do to one lead: cancel it, hold it, change it, have it called now."""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState, StopReason
from outdial.domain.call_outcome import Outcome
from outdial.domain.errors import Conflict, NotFound
from outdial.domain.lead_state import LeadState
from outdial.operations.runtime import Runtime
from outdial.operations.stop_attempts import Stopped, act_on, stop_attempts
from outdial.storage import attempts, leads
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


async def change_lead(runtime: Runtime, lead_id: uuid.UUID, changes: dict[str, object]) -> Lead:
    """Change columns of a waiting lead; the caller has checked the values.

    Raises:
        NotFound: there is no such lead.
        Conflict: it does not wait.

    """
    async with runtime.sessions.begin() as session:
        lead = await _locked(session, lead_id)
        if not await leads.change(session, lead_id, **changes):
            raise Conflict(f"Only a waiting lead can be changed: this one is {lead.state}.")
    return await _read(runtime, lead_id)


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
