"""From the events of an attempt to what is known of it.

The same events give the same answer in any order and however often each is told: they are put in
order first, and what a carrier status means depends on Twilio's SequenceNumber, not on arrival.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outdial.domain.attempt_state import AttemptState, EndReason
from outdial.domain.call_events import Event, Source
from outdial.domain.call_outcome import Facts
from outdial.domain.fold_conversation import number, stream_no, with_conversation

STATUS_STATES: dict[str, AttemptState] = {
    "queued": AttemptState.INITIATED,
    "initiated": AttemptState.INITIATED,
    "ringing": AttemptState.RINGING,
    "in-progress": AttemptState.IN_PROGRESS,
    "answered": AttemptState.IN_PROGRESS,
    "completed": AttemptState.ENDED,
    "busy": AttemptState.ENDED,
    "no-answer": AttemptState.ENDED,
    "failed": AttemptState.ENDED,
    "canceled": AttemptState.ENDED,
}
"""Twilio's call statuses, and the state that each proves."""

_ENDS: dict[tuple[Source, str], EndReason] = {
    (Source.DIALER, "rejected"): EndReason.REJECTED,
    (Source.DIALER, "not_sent"): EndReason.NOT_SENT,
    (Source.DIALER, "gate_refused"): EndReason.GATE_REFUSED,
    (Source.DIALER, "claim_expired"): EndReason.CLAIM_EXPIRED,
    (Source.OPERATOR, "stopped"): EndReason.STOPPED,
    (Source.RECONCILE, "unknown_expired"): EndReason.UNKNOWN_EXPIRED,
}
"""Events that end an attempt without a terminal call status."""

_RANK = {state: rank for rank, state in enumerate(AttemptState)}


@dataclass(frozen=True)
class Folded:
    """What the events of one attempt say together."""

    state: AttemptState = AttemptState.QUEUED  # the furthest that they prove
    facts: Facts = field(default_factory=Facts)
    call_sid: str | None = None
    initiated_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    terminal: bool = False  # nothing more will happen on the telephone

    @property
    def awaits_pod(self) -> bool:
        """Whether the call is over but the pod that spoke on it has not had its last word.

        Settling ends such an attempt when that word comes, the patience is over, or the pod is out.
        """
        return self.terminal and self.state is not AttemptState.ENDED


def fold(events: Iterable[Event], bound_sid: str | None = None) -> Folded:
    """Everything that `events` say of their attempt.

    `bound_sid` is the CallSid that the attempt's row has already; without it the dialer's word
    counts first, then the first callback. What is said of any other call is left out.
    """
    known = _in_order(events)
    call_sid = bound_sid or _call_sid(known)
    known = [event for event in known if event.call_sid in {None, call_sid}]
    statuses = _statuses(known)
    times = _Times.of(known, statuses)
    terminal = _terminal(statuses)
    end_reason, ended_at = _end(known, terminal)
    facts = _facts(known, statuses, terminal, times.answered_at)
    return Folded(
        state=_state(known, statuses, facts, end_reason),
        facts=facts,
        call_sid=call_sid,
        initiated_at=times.initiated_at,
        ringing_at=times.ringing_at,
        answered_at=times.answered_at,
        ended_at=ended_at,
        end_reason=end_reason,
        terminal=end_reason is not None,
    )


@dataclass(frozen=True)
class _Status:
    """One call status that the carrier reported, or was asked for."""

    event: Event
    name: str
    state: AttemptState
    sequence: int


def _in_order(events: Iterable[Event]) -> list[Event]:
    """Each fact once, by time, with ties broken by content: never by arrival."""
    first: dict[tuple[str, str, str], Event] = {}
    for event in sorted(events, key=_sort_key):
        first.setdefault((event.source, event.kind, event.dedupe_key), event)
    return list(first.values())


def _sort_key(event: Event) -> tuple[datetime, str, str, str, str, str]:
    payload = json.dumps(event.payload, sort_keys=True, default=str)
    sid = event.call_sid or ""
    return event.occurred_at, event.source, event.kind, event.dedupe_key, sid, payload


def _call_sid(events: Sequence[Event]) -> str | None:
    by_dialer = (e for e in events if (e.source, e.kind) == (Source.DIALER, "accepted"))
    for event in (*by_dialer, *events):
        if event.call_sid:
            return event.call_sid
        if event.source is Source.DIALER and event.payload.get("call_sid"):
            return str(event.payload["call_sid"])
    return None


def _statuses(events: Sequence[Event]) -> list[_Status]:
    """Call statuses in the carrier's order; what was asked for stands before what was reported."""
    found = []
    for event in events:
        if event.source is Source.CARRIER and event.kind == "status":
            name = str(event.payload.get("CallStatus", ""))
            sequence = number(event.payload.get("SequenceNumber"))
        elif event.source is Source.RECONCILE and event.kind == "carrier_call":
            name, sequence = str(event.payload.get("status", "")), None
        else:
            continue
        if name in STATUS_STATES:
            found.append(
                _Status(event, name, STATUS_STATES[name], -1 if sequence is None else sequence)
            )
    return sorted(found, key=lambda status: (status.sequence, _RANK[status.state]))


def _terminal(statuses: Sequence[_Status]) -> _Status | None:
    """The first final status: nothing leaves it. One reported says more than one asked for."""
    final = [status for status in statuses if status.state is AttemptState.ENDED]
    return min(final, key=lambda s: (s.sequence < 0, s.sequence), default=None)


@dataclass(frozen=True)
class _Times:
    initiated_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None

    @classmethod
    def of(cls, events: Sequence[Event], statuses: Sequence[_Status]) -> "_Times":
        def first(state: AttemptState) -> datetime | None:
            reported = [
                s.event.occurred_at for s in statuses if s.state is state and s.sequence >= 0
            ]
            asked = [s.event.occurred_at for s in statuses if s.state is state]
            return min(reported or asked, default=None)

        return cls(
            initiated_at=first(AttemptState.INITIATED),
            ringing_at=first(AttemptState.RINGING),
            answered_at=first(AttemptState.IN_PROGRESS) or _answer_otherwise(events, statuses),
        )


def _answer_otherwise(events: Sequence[Event], statuses: Sequence[_Status]) -> datetime | None:
    """When the callback that says `answered` was lost: who else knows of the answer.

    Twilio asks for TwiML only once somebody picked up, and only an answered call completes.
    """
    for event in events:
        if (event.source, event.kind) in {
            (Source.GATEWAY, "answered"),
            (Source.POD, "stream_started"),
        }:
            return event.occurred_at
    for status in statuses:
        if status.name == "completed":
            return status.event.occurred_at - timedelta(seconds=_duration(status) or 0)
    return None


def _end(
    events: Sequence[Event], terminal: _Status | None
) -> tuple[EndReason, datetime] | tuple[None, None]:
    """What ended the attempt, and when; the carrier's word before ours."""
    if terminal is not None:
        return EndReason.CARRIER, terminal.event.occurred_at
    for event in events:
        reason = _ENDS.get((event.source, event.kind))
        if reason is not None:
            return reason, event.occurred_at
    return None, None


def _state(
    events: Sequence[Event],
    statuses: Sequence[_Status],
    facts: Facts,
    end_reason: EndReason | None,
) -> AttemptState:
    if end_reason is EndReason.CARRIER and facts.stream_opened and not facts.conversation_closed:
        return AttemptState.IN_PROGRESS  # the other witness has not spoken (PROTOCOL 5)
    if end_reason is not None:
        return AttemptState.ENDED
    proven = [status.state for status in statuses]
    kinds = {(event.source, event.kind) for event in events}
    if facts.answered:
        proven.append(AttemptState.IN_PROGRESS)
    if (Source.DIALER, "accepted") in kinds:
        proven.append(AttemptState.INITIATED)
    if (Source.DIALER, "outcome_unknown") in kinds:
        proven.append(AttemptState.UNKNOWN)
    return max(proven, key=_RANK.__getitem__, default=AttemptState.QUEUED)


def _facts(
    events: Sequence[Event],
    statuses: Sequence[_Status],
    terminal: _Status | None,
    answered_at: datetime | None,
) -> Facts:
    final = terminal or (statuses[-1] if statuses else None)
    heard = Facts(
        carrier_status=final.name if final else None,
        sip_code=number(terminal.event.payload.get("SipResponseCode")) if terminal else None,
        error_code=_error_code(events, terminal),
        refusal=_first(events, Source.DIALER, "gate_refused", "reason"),
        answered_by=_answered_by(events),
        answered_at=answered_at,
        duration_seconds=_duration(terminal) if terminal else None,
        fallback_used=any((e.source, e.kind) == (Source.GATEWAY, "fallback") for e in events),
        stream_lost=_stream_lost(events),
    )
    return with_conversation(heard, events)


def _error_code(events: Sequence[Event], terminal: _Status | None) -> int | None:
    refused = _first(events, Source.DIALER, "rejected", "code")
    reported = terminal.event.payload.get("ErrorCode") if terminal else None
    return number(refused) if refused is not None else number(reported)


def _answered_by(events: Sequence[Event]) -> str | None:
    """The verdict: from machine detection itself, else from a status form, else from a look-up."""
    return (
        _first(events, Source.AMD, "verdict", "AnsweredBy")
        or _first(events, Source.CARRIER, "status", "AnsweredBy")
        or _first(events, Source.RECONCILE, "carrier_call", "answered_by")
    )


def _first(events: Sequence[Event], source: Source, kind: str, key: str) -> str | None:
    for event in events:
        if (event.source, event.kind) == (source, kind) and event.payload.get(key) is not None:
            return str(event.payload[key]) or None
    return None


def _stream_lost(events: Sequence[Event]) -> bool:
    """Whether a stream ended in mid-call although its pod had not closed the conversation."""
    closed = {stream_no(e) for e in events if e.kind == "conversation_closed"}
    return any(
        (event.source, event.kind) == (Source.STREAM, "ended")
        and event.payload.get("CallStatus") == "in-progress"
        and stream_no(event) not in closed
        for event in events
    )


def _duration(status: _Status) -> int | None:
    return number(status.event.payload.get("CallDuration", status.event.payload.get("duration")))
