"""Attempts to talk on, made without dialing, and what was written about them."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from outdial.operations.parse_template import body_of, parse_template
from outdial.operations.runtime import Runtime
from outdial.routing.stream_token import StreamClaims, sign
from outdial.storage import attempts, call_events, leads, templates, transcripts
from outdial.storage.ids import new_id
from outdial.storage.tables import Attempt, CallEvent, Campaign, ToolCall, TranscriptTurn
from polling import until

TEMPLATE = Path(__file__).parents[3] / "examples/templates/appointment-reminder.yaml"


@dataclass(frozen=True)
class Called:
    """An attempt whose phone is being answered."""

    attempt_id: uuid.UUID
    template_id: uuid.UUID
    phone: str


@dataclass(frozen=True)
class Record:
    """Everything that the stores say of a call."""

    attempt: Attempt
    turns: list[TranscriptTurn]
    tools: list[ToolCall]
    events: list[CallEvent]

    def event(self, kind: str) -> CallEvent | None:
        """The first event of this kind."""
        return next((event for event in self.events if event.kind == kind), None)

    def payload(self, kind: str) -> Mapping[str, Any]:
        """Its payload; empty if there is none."""
        event = self.event(kind)
        return event.payload if event else {}

    def said(self, role: str) -> str:
        """Everything that one side said."""
        return " ".join(turn.text for turn in self.turns if turn.role == role)


def template_body(**changes: Any) -> dict[str, Any]:
    """The example template, with short times for tests."""
    body: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text())
    body["agent"]["greeting"] = "Hello {{name}}, this is Ada. Can you come on {{appointment}}?"
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(body.get(key), dict):
            body[key] = {**body[key], **value}
        else:
            body[key] = value
    return body


async def make_call(
    runtime: Runtime, *, answered_ago: timedelta = timedelta(0), **changes: Any
) -> Called:
    """A lead and its live attempt, as they stand when the phone was answered."""
    template = parse_template(template_body(**changes))
    phone = "+1202555" + f"{uuid.uuid4().int % 10000:04d}"
    async with runtime.sessions.begin() as session:
        row = await templates.add(session, template.slug, body_of(template))
        campaign = Campaign(name=str(new_id()), template_id=row.id)
        session.add(campaign)
        await session.flush()
        lead = leads.NewLead(
            campaign.id,
            row.id,
            (leads.NewContact(phone, "Ann", "America/New_York"),),
            variables={
                "clinic": "the clinic",
                "appointment": "Monday at ten",
                "shop": "the green shop",
                "order": "A7",
            },
        )
        await leads.insert(session, [lead], datetime.now(UTC))
        contact = (await leads.contacts_of(session, [lead.id]))[lead.id][0]
        attempt_id = new_id()
        claim: dict[str, object] = {
            "id": attempt_id,
            "lead_id": lead.id,
            "contact_id": contact.id,
            "campaign_id": campaign.id,
            "template_id": row.id,
            "phone": phone,
            "caller_number": "+15005550006",
        }
        await attempts.insert_queued(session, [claim])
        await leads.activate(session, lead.id, attempt_id)
        await attempts.begin_dialing(session, attempt_id)
        attempt = await attempts.lock(session, attempt_id)
        assert attempt is not None
        attempt.answered_at = datetime.now(UTC) - answered_ago
    return Called(attempt_id, row.id, phone)


def socket_url(
    runtime: Runtime, called: Called, boot_id: str, *, stream_no: int = 1, lifetime: int = 60
) -> str:
    """The address that the router would write into the TwiML."""
    expiry = int(time.time()) + lifetime
    claims = StreamClaims(called.attempt_id, stream_no, boot_id, expiry)
    token = sign(runtime.settings.stream_secret, claims)
    return f"{runtime.settings.pod_public_url}/ws/{called.template_id}/{token}"


async def record_of(runtime: Runtime, attempt_id: uuid.UUID) -> Record:
    """What stands in the stores now."""
    async with runtime.sessions.begin() as session:
        attempt = await attempts.get(session, attempt_id)
        assert attempt is not None
        return Record(
            attempt,
            await transcripts.turns_of(session, attempt_id),
            await transcripts.tool_calls_of(session, attempt_id),
            await call_events.of_attempt(session, attempt_id),
        )


async def closed_record(runtime: Runtime, attempt_id: uuid.UUID, seconds: float = 40) -> Record:
    """The record, once the pod has had its last word."""
    await until(lambda: _is_closed(runtime, attempt_id), seconds)
    return await record_of(runtime, attempt_id)


async def _is_closed(runtime: Runtime, attempt_id: uuid.UUID) -> bool:
    return (await record_of(runtime, attempt_id)).event("conversation_closed") is not None
