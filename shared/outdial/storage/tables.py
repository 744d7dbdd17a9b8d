"""The schema. Every table, with the constraints that hold what a constraint can hold.

Times are `timestamptz`; ids are UUIDs made by the caller (`storage.ids`), except for events, which
are numbered.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy import (
    text as sql,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from outdial.storage.ids import new_id

Json = dict[str, Any]


class Base(DeclarativeBase):
    """Common types and the names of constraints."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: DateTime(timezone=True),
        str: Text(),
        Json: JSONB(none_as_null=True),
        uuid.UUID: UUID(as_uuid=True),
    }


class Template(Base):
    """A version of a kind of call; never changed once written."""

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("slug", "version"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str]
    version: Mapped[int]
    body: Mapped[Json]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Campaign(Base):
    """A template applied to many leads."""

    __tablename__ = "campaigns"
    __table_args__ = (
        CheckConstraint("status IN ('draft', 'running', 'paused', 'canceled')", name="status"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    template_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("templates.id"))
    status: Mapped[str] = mapped_column(server_default="draft")
    caller_numbers: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    hours: Mapped[Json | None]  # None: the template's
    max_live_calls: Mapped[int | None]  # None: only the deployment's limit
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    canceled_at: Mapped[datetime | None]
    paused_reason: Mapped[str | None]  # None: an operator paused it, or it is not paused
    # Whether every lead since the first is in campaign_zones; false for those of older versions.
    zones_known: Mapped[bool] = mapped_column(server_default=sql("false"))


class CampaignZones(Base):
    """Zones in all of which some leads of a campaign may be at once (none: unknown)."""

    __tablename__ = "campaign_zones"

    campaign_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    template_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("templates.id"), primary_key=True)
    zones: Mapped[tuple[str, ...]] = mapped_column(ARRAY(Text, as_tuple=True), primary_key=True)
    opens_at: Mapped[datetime | None]  # closed until then; None, or past: a claim finds out


class Lead(Base):
    """One piece of work, and where it stands."""

    __tablename__ = "leads"
    __table_args__ = (
        CheckConstraint("state IN ('backlog', 'active', 'retry', 'finished')", name="state"),
        CheckConstraint("(state = 'active') = (live_attempt_id IS NOT NULL)", name="live_attempt"),
        CheckConstraint("(state = 'finished') = (outcome IS NOT NULL)", name="outcome"),
        CheckConstraint(
            "state NOT IN ('backlog', 'retry') OR next_attempt_at IS NOT NULL", name="due"
        ),
        UniqueConstraint("campaign_id", "external_id"),
        Index(
            "ix_leads_due",
            "campaign_id",
            "next_attempt_at",
            "id",
            postgresql_where=sql("state IN ('backlog', 'retry') AND held_at IS NULL"),
        ),
        Index(None, "campaign_id", "id"),  # pages of a campaign's leads
        Index(
            "ix_leads_expiry",
            "expires_at",
            postgresql_where=sql("state IN ('backlog', 'retry') AND expires_at IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    campaign_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("campaigns.id"))
    template_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("templates.id"))
    external_id: Mapped[str | None]
    branch_key: Mapped[str | None]
    variables: Mapped[Json] = mapped_column(server_default="{}")
    state: Mapped[str] = mapped_column(server_default="backlog")
    outcome: Mapped[str | None]
    result: Mapped[Json | None]  # what the agent recorded
    contact_position: Mapped[int] = mapped_column(server_default="0")  # who is called next
    next_attempt_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    scheduled_by: Mapped[str] = mapped_column(server_default="policy")
    not_before: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    held_at: Mapped[datetime | None]
    live_attempt_id: Mapped[uuid.UUID | None] = mapped_column(
        # Leads and attempts point at each other: checked at commit, whoever comes first.
        ForeignKey("attempts.id", use_alter=True, deferrable=True, initially="DEFERRED")
    )
    unspent_tries: Mapped[int] = mapped_column(server_default="0")  # backs off on its own
    refusal: Mapped[str | None]  # why it was not dialed when it last came up
    refused_at: Mapped[datetime | None]
    caller_number: Mapped[str | None]  # set by the caller of POST /calls
    version: Mapped[int] = mapped_column(server_default="0")  # +1 at each change of state
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class Contact(Base):
    """One person and number of a lead; position 0 is called first."""

    __tablename__ = "contacts"
    __table_args__ = (UniqueConstraint("lead_id", "position"), Index(None, "phone"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    lead_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("leads.id", ondelete="CASCADE"))
    position: Mapped[int]
    phone: Mapped[str]  # E.164
    name: Mapped[str | None]
    timezone: Mapped[str | None]  # IANA


_LIVE_OUTBOUND = "direction = 'outbound' AND state <> 'ended'"


class Attempt(Base):
    """One telephone call with one customer leg. At most one POST, for ever."""

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint("direction IN ('outbound', 'inbound')", name="direction"),
        CheckConstraint(
            "state IN ('queued', 'dialing', 'unknown', 'initiated', 'ringing', 'in_progress', "
            "'ended')",
            name="state",
        ),
        CheckConstraint("plan IN ('conversation', 'voicemail', 'transfer', 'hangup')", name="plan"),
        CheckConstraint(
            "direction = 'inbound' OR (lead_id IS NOT NULL AND contact_id IS NOT NULL)",
            name="outbound_has_lead",
        ),
        CheckConstraint(
            "(state = 'ended') = (ended_at IS NOT NULL AND spent IS NOT NULL "
            "AND outcome IS NOT NULL)",
            name="ended",
        ),
        CheckConstraint(
            "direction = 'inbound' OR state IN ('queued', 'ended') OR intent_at IS NOT NULL",
            name="intent",
        ),
        Index(
            "uq_attempts_live_lead", "lead_id", unique=True, postgresql_where=sql(_LIVE_OUTBOUND)
        ),
        Index(
            "uq_attempts_live_number", "phone", unique=True, postgresql_where=sql(_LIVE_OUTBOUND)
        ),
        Index(
            "uq_attempts_live_branch",
            "branch_key",
            unique=True,
            postgresql_where=sql(f"{_LIVE_OUTBOUND} AND branch_key IS NOT NULL"),
        ),
        Index("ix_attempts_live_state", "state", postgresql_where=sql("state <> 'ended'")),
        Index(None, "lead_id", "queued_at"),
        Index(None, "phone", "queued_at"),
        Index(None, "campaign_id", "id"),
        Index(None, "caller_number", "queued_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    direction: Mapped[str] = mapped_column(server_default="outbound")
    lead_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("leads.id"))
    contact_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("contacts.id"))
    campaign_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("campaigns.id"))
    template_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("templates.id"))
    branch_key: Mapped[str | None]
    phone: Mapped[str]  # the customer's number, E.164
    caller_number: Mapped[str]  # ours
    state: Mapped[str] = mapped_column(server_default="queued")
    plan: Mapped[str] = mapped_column(server_default="conversation")
    stop_reason: Mapped[str | None]
    stream_no: Mapped[int] = mapped_column(server_default="1")
    pod: Mapped[str | None]
    boot_id: Mapped[str | None]
    call_sid: Mapped[str | None] = mapped_column(unique=True)
    spent: Mapped[bool | None]  # None while live
    end_reason: Mapped[str | None]
    outcome: Mapped[str | None]
    facts: Mapped[Json] = mapped_column(server_default="{}")
    lead_version: Mapped[int | None]  # the lead's version after this attempt's decision
    queued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    hinted_at: Mapped[datetime | None]  # when place_attempt was last published
    claim_expires_at: Mapped[datetime | None]
    intent_at: Mapped[datetime | None]  # committed before the POST
    initiated_at: Mapped[datetime | None]
    ringing_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    heard_at: Mapped[datetime | None]  # the last fact from anywhere


class Leg(Base):
    """Another telephone of the same call (a human agent's), under the same at-most-once rule."""

    __tablename__ = "legs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("attempts.id"), index=True)
    role: Mapped[str]
    phone: Mapped[str]
    call_sid: Mapped[str | None] = mapped_column(unique=True)
    intent_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class CallEvent(Base):
    """One fact about an attempt; appended, never changed."""

    __tablename__ = "call_events"
    __table_args__ = (UniqueConstraint("attempt_id", "source", "dedupe_key"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    attempt_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("attempts.id"))
    source: Mapped[str]  # domain.call_events.Source
    kind: Mapped[str]
    dedupe_key: Mapped[str]
    call_sid: Mapped[str | None]
    payload: Mapped[Json] = mapped_column(server_default="{}")
    occurred_at: Mapped[datetime]  # by the source's clock
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Unsettled(Base):
    """Events that no settling has read yet."""

    __tablename__ = "unsettled"

    event_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("call_events.id", ondelete="CASCADE"), primary_key=True
    )
    attempt_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("attempts.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class TranscriptTurn(Base):
    """What was heard, in order. Positions count up within an attempt, across its streams."""

    __tablename__ = "transcript_turns"
    __table_args__ = (UniqueConstraint("attempt_id", "stream_no", "position"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    attempt_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("attempts.id"))
    stream_no: Mapped[int]
    position: Mapped[int]
    role: Mapped[str]  # person | agent
    text: Mapped[str]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    interrupted: Mapped[bool] = mapped_column(server_default=sql("false"))
    latency_ms: Mapped[int | None]  # agent: from the person's last sound to the first audio
    raw: Mapped[Json | None]  # recognition as it came, with confidence


class ToolCall(Base):
    """A tool the agent called; written before it runs."""

    __tablename__ = "tool_calls"
    __table_args__ = (UniqueConstraint("attempt_id", "call_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    attempt_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("attempts.id"))
    stream_no: Mapped[int]
    call_id: Mapped[str]  # the model's id of the call
    name: Mapped[str]
    arguments: Mapped[Json]
    result: Mapped[Json | None]
    called_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class Recording(Base):
    """A recording at the carrier."""

    __tablename__ = "recordings"

    recording_sid: Mapped[str] = mapped_column(primary_key=True)
    attempt_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("attempts.id"), index=True)
    url: Mapped[str]
    status: Mapped[str]
    channels: Mapped[int | None]
    duration_seconds: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Number(Base):
    """A number of ours that calls can come from."""

    __tablename__ = "numbers"
    __table_args__ = (CheckConstraint("status IN ('active', 'set_aside')", name="status"),)

    phone: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    set_aside_reason: Mapped[str | None]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    set_aside_at: Mapped[datetime | None]


class Suppression(Base):
    """A number that nobody in the deployment may call."""

    __tablename__ = "suppressions"

    phone: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    source: Mapped[str]  # call | api | import
    attempt_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Base):
    """A key of the REST API; only its hash is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint("role IN ('viewer', 'operator', 'admin')", name="role"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    role: Mapped[str]
    prefix: Mapped[str]  # shown in lists
    key_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """What was answered to a request that named an Idempotency-Key; kept for seven days."""

    __tablename__ = "idempotency_keys"

    api_key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[str]  # method, path and body
    status: Mapped[int | None]  # None: the first request is still at work
    body: Mapped[Json | None]
    # While there is no status: until then the request counts as alive; later another may take over.
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
