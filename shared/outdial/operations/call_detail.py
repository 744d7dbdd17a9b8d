"""Everything that is known of one call, gathered for whoever asks."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from outdial.domain.errors import NotFound
from outdial.operations.runtime import Runtime
from outdial.storage import (
    attempts,
    call_events,
    campaign_zones,
    leads,
    recordings,
    templates,
    transcripts,
)
from outdial.storage.tables import (
    Attempt,
    CallEvent,
    Contact,
    Lead,
    Recording,
    Template,
    ToolCall,
    TranscriptTurn,
)


@dataclass(frozen=True)
class CallDetail:
    """A call: its lead, the attempt that dials it (None: not yet), and what happened on it.

    A call can be asked for by the id of an attempt, or by that of a lead: then the lead's newest
    attempt is meant, and `attempt_ids` are all of them.
    """

    lead: Lead | None
    contacts: list[Contact]
    template: Template
    attempt: Attempt | None
    attempt_ids: list[uuid.UUID] = field(default_factory=list)
    events: list[CallEvent] = field(default_factory=list)
    turns: list[TranscriptTurn] = field(default_factory=list)
    tools: list[ToolCall] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    closed: dict[campaign_zones.Key, datetime] = field(default_factory=dict)  # of a waiting lead


async def call_detail(runtime: Runtime, call_id: uuid.UUID) -> CallDetail:
    """The call of this id.

    Raises:
        NotFound: neither an attempt nor a lead has it.

    """
    async with runtime.sessions() as session:
        attempt = await attempts.get(session, call_id)
        lead_id = attempt.lead_id if attempt else call_id
        lead = await leads.get(session, lead_id) if lead_id else None
        if attempt is None and lead is None:
            raise NotFound(f"There is no call {call_id}.")
        tries = await attempts.of_lead(session, lead.id) if lead else []
        attempt = attempt or (tries[-1] if tries else None)
        contacts = await leads.contacts_of(session, [lead.id]) if lead else {}
        holder = attempt or lead
        template = await templates.get(session, holder.template_id) if holder else None
        if template is None:
            raise NotFound(f"The template of call {call_id} is gone.")
        detail = CallDetail(
            lead,
            contacts.get(lead.id, []) if lead else [],
            template,
            attempt,
            [one.id for one in tries],
        )
        if lead is not None:
            detail.closed.update(await campaign_zones.closed_places(session, lead.campaign_id))
        if attempt is None:
            return detail
        detail.events.extend(await call_events.of_attempt(session, attempt.id))
        detail.turns.extend(await transcripts.turns_of(session, attempt.id))
        detail.tools.extend(await transcripts.tool_calls_of(session, attempt.id))
        detail.recordings.extend(await recordings.of_attempt(session, attempt.id))
    return detail


async def is_attempt(runtime: Runtime, call_id: uuid.UUID) -> bool:
    """Whether a call's id is that of an attempt; else it may be a lead's."""
    async with runtime.sessions() as session:
        return await attempts.get(session, call_id) is not None


async def newest_attempt_of(runtime: Runtime, call_id: uuid.UUID) -> uuid.UUID:
    """The attempt that a call's id means: itself, or the newest one of a lead.

    Raises:
        NotFound: there is no such call, or it was never dialed.

    """
    async with runtime.sessions() as session:
        if await attempts.get(session, call_id) is not None:
            return call_id
        tries = await attempts.of_lead(session, call_id)
    if not tries:
        raise NotFound(f"There is no call {call_id}, or it was not dialed yet.")
    return tries[-1].id
