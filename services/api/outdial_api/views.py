"""What the REST API shows of each thing. Times are ISO 8601 in UTC."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from outdial.operations.sync_numbers import NumberSync
from outdial.operations.why_not_called import NOWHERE, Closed, refusal_of, why_not_called
from outdial.storage.tables import (
    ApiKey,
    Attempt,
    CallEvent,
    Campaign,
    Contact,
    Lead,
    Number,
    Suppression,
    Template,
    ToolCall,
    TranscriptTurn,
)

Json = dict[str, Any]


class View(BaseModel):
    """Read from a row's attributes."""

    model_config = ConfigDict(from_attributes=True)


class ContactView(View):
    """A person and number of a lead; position 0 is called first."""

    position: int
    phone: str = Field(examples=["+12125550100"])
    name: str | None
    timezone: str | None


class LeadView(View):
    """A lead, and why it stands where it stands."""

    id: uuid.UUID
    campaign_id: uuid.UUID
    external_id: str | None
    branch_key: str | None
    state: str = Field(description="backlog | active | retry | finished")
    outcome: str | None = Field(description="One word, once it is finished.")
    result: Json | None = Field(description="What the agent recorded.")
    variables: Json
    contact_position: int = Field(description="The contact who is called next.")
    next_attempt_at: datetime | None
    scheduled_by: str = Field(description="policy | person | operator")
    not_before: datetime | None
    expires_at: datetime | None
    held_at: datetime | None
    live_attempt_id: uuid.UUID | None
    refusal: str | None = Field(description="Why it was not dialed when it last came up.")
    refused_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    contacts: list[ContactView] = Field(default_factory=list)
    why: str = Field(
        default="",
        description="Why it is not called just now, in words.",
        examples=["Not called: the number was called often enough within 24 hours."],
    )

    @classmethod
    def of(
        cls,
        lead: Lead,
        contacts: list[Contact],
        campaign: Campaign | None = None,
        closed: Closed = NOWHERE,
        held_up: str | None = None,
    ) -> "LeadView":
        """A lead with its contacts; `why` takes into account what is given of its campaign."""
        view = cls.model_validate(lead)
        view.why = why_not_called(lead, contacts, campaign, closed, held_up=held_up)
        view.refusal = refusal_of(lead, contacts, closed)
        view.contacts = [ContactView.model_validate(contact) for contact in contacts]
        return view


class CallView(BaseModel):
    """One attempt to reach somebody. `id` finds it again; so does its lead's id."""

    id: uuid.UUID
    attempt_id: uuid.UUID | None = Field(description="null: not dialed yet.")
    lead_id: uuid.UUID | None
    campaign_id: uuid.UUID | None
    direction: str
    state: str = Field(
        description="waiting | queued | dialing | unknown | initiated | ringing | in_progress "
        "| ended"
    )
    to_number: str
    from_number: str | None
    outcome: str | None
    spent: bool | None = Field(description="Whether it counts as a try; null while it lives.")
    answered_by: str | None
    call_sid: str | None
    pod: str | None
    stop_reason: str | None
    queued_at: datetime
    initiated_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of_attempt(cls, attempt: Attempt) -> "CallView":
        """A call that is, or was, dialed."""
        return cls(
            id=attempt.id,
            attempt_id=attempt.id,
            lead_id=attempt.lead_id,
            campaign_id=attempt.campaign_id,
            direction=attempt.direction,
            state=attempt.state,
            to_number=attempt.phone,
            from_number=attempt.caller_number,
            outcome=attempt.outcome,
            spent=attempt.spent,
            answered_by=attempt.facts.get("answered_by"),
            call_sid=attempt.call_sid,
            pod=attempt.pod,
            stop_reason=attempt.stop_reason,
            queued_at=attempt.queued_at,
            initiated_at=attempt.initiated_at,
            ringing_at=attempt.ringing_at,
            answered_at=attempt.answered_at,
            ended_at=attempt.ended_at,
        )

    @classmethod
    def of_lead(cls, lead: Lead, contacts: list[Contact]) -> "CallView":
        """A call that waits to be dialed."""
        next_up = [c for c in contacts if c.position == lead.contact_position] or contacts
        return cls(
            id=lead.id,
            attempt_id=None,
            lead_id=lead.id,
            campaign_id=lead.campaign_id,
            direction="outbound",
            state="ended" if lead.outcome else "waiting",
            to_number=next_up[0].phone if next_up else "",
            from_number=lead.caller_number,
            outcome=lead.outcome,
            spent=None,
            answered_by=None,
            call_sid=None,
            pod=None,
            stop_reason=None,
            queued_at=lead.created_at,
            initiated_at=None,
            ringing_at=None,
            answered_at=None,
            ended_at=lead.finished_at,
        )


class RequestedCall(CallView):
    """A call that was just asked for."""

    call_id: uuid.UUID = Field(description="The same as `id`.")


class EventView(View):
    """One fact about a call, as it arrived."""

    id: int
    source: str
    kind: str
    occurred_at: datetime
    received_at: datetime
    payload: Json


class TurnView(View):
    """What was said, as the person heard it."""

    role: str = Field(description="person | agent")
    text: str
    started_at: datetime | None
    ended_at: datetime | None
    interrupted: bool
    latency_ms: int | None
    stream_no: int


class ToolView(View):
    """A tool that the agent called."""

    name: str
    arguments: Json
    result: Json | None
    called_at: datetime
    finished_at: datetime | None


class RecordingView(BaseModel):
    """A recording; its audio is at `/v1/calls/{id}/recording`."""

    recording_sid: str
    status: str
    channels: int | None
    duration_seconds: int | None


class Latencies(BaseModel):
    """Milliseconds. `first_audio` counts from the stream's start, replies from the last sound."""

    first_audio_ms: int | None
    first_words_ms: int | None
    replies_ms: list[int]

    @classmethod
    def of(cls, events: list[CallEvent], turns: list[TranscriptTurn]) -> "Latencies":
        """From the pod's milestones and the agent's turns."""
        return cls(
            first_audio_ms=_milliseconds(events, "first_audio_sent"),
            first_words_ms=_milliseconds(events, "first_words_heard"),
            replies_ms=[turn.latency_ms for turn in turns if turn.latency_ms is not None],
        )


def _milliseconds(events: list[CallEvent], kind: str) -> int | None:
    found = (e.payload.get("ms") for e in events if (e.source, e.kind) == ("pod", kind))
    return next((round(ms) for ms in found if isinstance(ms, int | float)), None)


class CallDetailView(CallView):
    """A call with all that happened on it."""

    template: str
    template_version: int
    attempt_ids: list[uuid.UUID] = Field(description="Every attempt of its lead, oldest first.")
    facts: Json
    result: Json | None
    lead: LeadView | None
    events: list[EventView]
    transcript: list[TurnView]
    tools: list[ToolView]
    recordings: list[RecordingView]
    latencies: Latencies


class TemplateView(View):
    """A version of a template."""

    id: uuid.UUID
    slug: str
    version: int
    created_at: datetime
    body: Json

    @classmethod
    def of(cls, template: Template) -> "TemplateView":
        """The row as it is shown."""
        return cls.model_validate(template)


class NumberView(View):
    """A number that calls come from."""

    phone: str
    label: str | None
    status: str = Field(description="active | set_aside")
    set_aside_reason: str | None = Field(description="Why no call comes from it any more.")
    set_aside_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, number: Number) -> "NumberView":
        """The row as it is shown."""
        return cls.model_validate(number)


class NumberSyncView(View):
    """What the carrier's account owns, beside the numbers that calls come from."""

    added: list[str] = Field(examples=[["+12025550100"]])
    known: list[str] = Field(description="Calls could come from them before.")
    no_voice: list[str] = Field(description="They cannot call, and were left out.")
    not_in_account: list[str] = Field(
        description="Calls may come from them, and the account does not own them: verified caller "
        "ids, or numbers that were given back."
    )

    @classmethod
    def of(cls, sync: NumberSync) -> "NumberSyncView":
        """The result as it is shown."""
        return cls.model_validate(sync)


class SuppressionView(View):
    """A number that nobody may call."""

    phone: str
    reason: str
    source: str = Field(description="call | api | import")
    attempt_id: uuid.UUID | None
    created_at: datetime

    @classmethod
    def of(cls, suppression: Suppression) -> "SuppressionView":
        """The row as it is shown."""
        return cls.model_validate(suppression)


class KeyView(View):
    """An API key, without its secret."""

    id: uuid.UUID
    name: str
    role: str
    prefix: str = Field(description="How the key begins.")
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyView":
        """The row as it is shown."""
        return cls.model_validate(key)


def tools_of(rows: list[ToolCall]) -> list[ToolView]:
    """The tools of a call as they are shown."""
    return [ToolView.model_validate(row) for row in rows]
