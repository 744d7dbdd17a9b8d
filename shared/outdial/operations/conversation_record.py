"""What a conversation reads before it begins and writes while it goes on.

Each function is one transaction of its own, so that a crash loses at most the turn in progress.
Everything is fenced by `stream_no`: a pod whose call went on elsewhere changes nothing of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState, Plan
from outdial.domain.call_events import Event, Source
from outdial.domain.call_outcome import EndedBy
from outdial.domain.call_template import CallTemplate
from outdial.domain.placeholders import fill, values_for
from outdial.observability.trace_ids import SpanContext, stream_span
from outdial.operations.known_templates import known_template
from outdial.operations.record_callback import record_event
from outdial.operations.runtime import Runtime
from outdial.storage import attempts, call_events, leads, lookups, transcripts
from outdial.storage.tables import Attempt, Contact, Json, Lead


@dataclass(frozen=True)
class SpokenTurn:
    """One turn of the transcript. Times are when the sound began and ended."""

    role: str  # person | agent
    text: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    interrupted: bool = False
    latency_ms: int | None = None
    raw: Mapping[str, object] | None = None


@dataclass(frozen=True)
class EarlierToolCall:
    """A tool called on an earlier stream of this call; `result` is None when it is not known."""

    name: str
    arguments: Mapping[str, object]
    result: Mapping[str, object] | None


@dataclass(frozen=True)
class ConversationBrief:
    """All that a pod must know to hold a conversation."""

    attempt_id: UUID
    stream_no: int
    phone: str
    template: CallTemplate
    values: Mapping[str, object] = field(default_factory=dict)
    lead_id: UUID | None = None
    timezone: str | None = None
    call_sid: str | None = None
    answered_at: datetime | None = None
    plan: str = Plan.CONVERSATION
    history: Sequence[SpokenTurn] = ()
    tool_history: Sequence[EarlierToolCall] = ()
    nobody_came: bool = False  # a dial to a human has failed, and nobody has said so yet
    awaits_lookup: bool = False
    """The template's lookup has not been asked: variables of it are missing, nobody is dialed."""

    @property
    def span(self) -> SpanContext:
        """The conversation, as its parts name it in the call's trace."""
        return stream_span(self.attempt_id, self.lead_id, self.stream_no)

    @property
    def greeting(self) -> str:
        """The first words, with the lead's variables in place."""
        return self._filled(self.template.agent.greeting)

    @property
    def prompt(self) -> str:
        """What the model is told, with the lead's variables in place."""
        return self._filled(self.template.agent.prompt)

    @property
    def transfer_fallback(self) -> str:
        """What is said when nobody came to take the call over; empty if the template has none."""
        return self._filled(self.template.transfer.fallback)

    @property
    def idle_prompts(self) -> tuple[str, ...]:
        """What is said into silence, one after the other."""
        return tuple(self._filled(text) for text in self.template.agent.idle.prompts)

    @property
    def goodbye(self) -> str:
        """What is said before hanging up on silence."""
        return self._filled(self.template.agent.idle.goodbye)

    @property
    def voicemail_script(self) -> str:
        """What is left on a machine; empty when the template hangs up."""
        voicemail = self.template.voicemail
        return self._filled(voicemail.script) if voicemail.mode == "leave_message" else ""

    def _filled(self, text: str) -> str:
        return fill(text, self.values, self.template.language)


@dataclass(frozen=True)
class Standing:
    """Where a live attempt stands, as others may have changed it."""

    plan: str
    stream_no: int
    stop_reason: str | None
    ended: bool


async def open_conversation(
    runtime: Runtime, attempt_id: UUID, stream_no: int
) -> ConversationBrief | None:
    """What is needed to talk on this stream; None if there is nothing (more) to say on it."""
    async with runtime.sessions() as session:
        attempt = await attempts.get(session, attempt_id)
        if attempt is None or not _may_talk(attempt, stream_no):
            return None
        template = await known_template(session, attempt.template_id)
        if template is None:
            return None
        lead, contact = await called(session, attempt)
        asks = template.lookup.is_wanted
        found = await lookups.values_of(session, attempt_id) if asks else None
        history = await _history(session, attempt_id) if stream_no > 1 else ((), ())
        nobody_came = stream_no > 1 and await _nobody_came(session, attempt_id)
    return ConversationBrief(
        attempt_id=attempt_id,
        stream_no=stream_no,
        phone=attempt.phone,
        template=template,
        values=_values(attempt, lead, contact, found),
        lead_id=attempt.lead_id,
        timezone=contact.timezone if contact else None,
        call_sid=attempt.call_sid,
        answered_at=attempt.answered_at,
        plan=attempt.plan,
        history=history[0],
        tool_history=history[1],
        nobody_came=nobody_came,
        awaits_lookup=found is None and lead is not None and asks,
    )


async def fill_for_call(session: AsyncSession, attempt: Attempt, text: str, language: str) -> str:
    """One of the template's texts as it is said in this call, whatever its plan is by now."""
    lead, contact = await called(session, attempt)
    found = await lookups.values_of(session, attempt.id)
    return fill(text, _values(attempt, lead, contact, found), language)


async def save_turn(
    runtime: Runtime, attempt_id: UUID, stream_no: int, position: int, turn: SpokenTurn
) -> None:
    """Write one turn; writing it again replaces it."""
    async with runtime.sessions() as session:
        await transcripts.save_turn(
            session,
            attempt_id,
            stream_no,
            position,
            role=turn.role,
            text=turn.text,
            started_at=turn.started_at,
            ended_at=turn.ended_at,
            interrupted=turn.interrupted,
            latency_ms=turn.latency_ms,
            raw=dict(turn.raw) if turn.raw is not None else None,
        )


async def begin_tool_call(
    runtime: Runtime,
    attempt_id: UUID,
    stream_no: int,
    *,
    call_id: str,
    name: str,
    arguments: Json,
) -> bool:
    """Write a tool call before it runs; False if it ran before, and must not run again."""
    async with runtime.sessions() as session:
        return await transcripts.save_tool_call(
            session, attempt_id, stream_no, call_id=call_id, name=name, arguments=arguments
        )


async def finish_tool_call(
    runtime: Runtime, attempt_id: UUID, call_id: str, result: Mapping[str, object]
) -> None:
    """Write what a tool answered."""
    async with runtime.sessions() as session:
        await transcripts.finish_tool_call(session, attempt_id, call_id, dict(result))


async def record_milestone(
    runtime: Runtime,
    attempt_id: UUID,
    kind: str,
    dedupe_key: str,
    payload: Mapping[str, object] | None = None,
    occurred_at: datetime | None = None,
) -> None:
    """Append a fact that the pod saw (domain/call_events.py has the list)."""
    event = Event(
        source=Source.POD,
        kind=kind,
        dedupe_key=dedupe_key,
        occurred_at=occurred_at or datetime.now(UTC),
        payload=payload or {},
    )
    await record_event(runtime, attempt_id, event)


async def commit_hangup(runtime: Runtime, attempt_id: UUID, stream_no: int) -> bool:
    """Commit that the call ends after this stream, before its socket is closed (PROTOCOL.md 9).

    False if this stream is not the current one any more: then nothing is changed.
    """
    async with runtime.sessions.begin() as session:
        attempt = await attempts.lock(session, attempt_id)
        if attempt is None or attempt.stream_no != stream_no:
            return False
        if attempt.state == AttemptState.ENDED or attempt.plan == Plan.HANGUP:
            return True
        return await attempts.change_plan(session, attempt_id, Plan(attempt.plan), Plan.HANGUP)


async def close_conversation(
    runtime: Runtime,
    attempt_id: UUID,
    stream_no: int,
    *,
    ended_by: EndedBy,
    reason: str,
    human_turns: int,
) -> None:
    """Write the pod's last word on a stream: `conversation_closed`.

    A call that somebody stopped (an operator, an opt-out elsewhere) was not ended by the person,
    even where the pod saw no more than a line going dead.
    """
    async with runtime.sessions() as session:
        attempt = await attempts.get(session, attempt_id)
        stopped = attempt.stop_reason if attempt else None
    if stopped and ended_by is EndedBy.PERSON:
        ended_by, reason = EndedBy.SYSTEM, stopped
    payload = {
        "ended_by": str(ended_by),
        "reason": reason,
        "human_turns": human_turns,
        "stream_no": stream_no,
    }
    await record_milestone(
        runtime, attempt_id, "conversation_closed", f"conversation_closed:{stream_no}", payload
    )


async def standing_of(runtime: Runtime, attempt_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """Where these attempts stand now."""
    async with runtime.sessions() as session:
        rows = await attempts.standings(session, attempt_ids)
    return {
        attempt_id: Standing(plan, stream_no, stop_reason, state == AttemptState.ENDED)
        for attempt_id, plan, stream_no, stop_reason, state in rows
    }


async def machine_verdict(runtime: Runtime, attempt_id: UUID) -> str | None:
    """What the carrier's machine detection said, if it has."""
    async with runtime.sessions() as session:
        events = await call_events.of_attempt(session, attempt_id)
    verdicts = [e.payload.get("AnsweredBy") for e in events if e.source == Source.AMD]
    return str(verdicts[-1]) if verdicts and verdicts[-1] else None


def _may_talk(attempt: Attempt, stream_no: int) -> bool:
    return (
        attempt.state != AttemptState.ENDED
        and attempt.stream_no == stream_no
        and attempt.stop_reason is None
        and attempt.plan in {Plan.CONVERSATION, Plan.VOICEMAIL}
    )


async def called(session: AsyncSession, attempt: Attempt) -> tuple[Lead | None, Contact | None]:
    """Whom a call is made to; an inbound one has no lead."""
    if attempt.lead_id is None:
        return None, None
    lead = await leads.get(session, attempt.lead_id)
    contacts = (await leads.contacts_of(session, [attempt.lead_id])).get(attempt.lead_id, [])
    return lead, next((c for c in contacts if c.id == attempt.contact_id), None)


def _values(
    attempt: Attempt, lead: Lead | None, contact: Contact | None, found: Json | None
) -> dict[str, object]:
    """What the template may name; what was looked up a moment ago is newer than the lead."""
    name = contact.name if contact else None
    return values_for(lead.variables if lead else {}, name, attempt.phone) | (found or {})


async def _nobody_came(session: AsyncSession, attempt_id: UUID) -> bool:
    events = await call_events.of_attempt(session, attempt_id)
    back = next((e.payload["back_on"] for e in events if "back_on" in e.payload), None)
    started = [e.payload.get("stream_no", 1) for e in events if e.kind == "stream_started"]
    return back is not None and max(started, default=1) < back


async def _history(
    session: AsyncSession, attempt_id: UUID
) -> tuple[tuple[SpokenTurn, ...], tuple[EarlierToolCall, ...]]:
    turns = await transcripts.conversation_of(session, attempt_id)
    calls = await transcripts.tool_calls_of(session, attempt_id)
    return (
        tuple(SpokenTurn(turn.role, turn.text, interrupted=turn.interrupted) for turn in turns),
        tuple(EarlierToolCall(call.name, call.arguments, call.result) for call in calls),
    )
