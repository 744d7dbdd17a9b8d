"""Call events: one fact each about an attempt, appended and never changed.

A payload's shape depends on (source, kind); the table below is the whole list. `gate_refused`,
`claim_expired` and `stopped` end an attempt, so they are only written while it is `queued`.

| source | kind | payload | dedupe key |
|---|---|---|---|
| carrier | status | Twilio's status form | CallSid:SequenceNumber |
| amd | verdict | Twilio's AMD form (`AnsweredBy`) | CallSid |
| recording | recording | Twilio's recording form | RecordingSid:RecordingStatus |
| stream | ended | Twilio's `action` form, `stream_no` | CallSid:stream_no |
| stream | status | Twilio's stream status form | StreamSid:StreamEvent |
| gateway | answered | `pod`, `stream_no`, `degraded` | kind:stream_no |
| gateway | fallback | Twilio's form (`ErrorCode`, `ErrorUrl`) | kind |
| gateway | held | `holds`: no room, or no Postgres: asked to wait so often | kind:holds |
| gateway | voicemail_left | Twilio's form: the carrier spoke the message to its end | kind |
| transfer | ended | Twilio's `action` form of the dial; `back_on`: the stream after it | CallSid |
| dialer | accepted | `call_sid` | kind |
| dialer | rejected | `code`, `status`, `message` | kind |
| dialer | not_sent | `reason` | kind |
| dialer | outcome_unknown | `reason` | kind |
| dialer | looked_up | `status` (found, failed, says_no), `ms`, `values`; `http`, `error` | kind |
| dialer | gate_refused | `reason` | kind |
| dialer | claim_expired | - | kind |
| operator | stopped | `reason` (StopReason) | kind |
| reconcile | carrier_call | `call_sid`, `status`, `answered_by`, `duration` | CallSid:status |
| reconcile | unknown_expired | - | kind |
| pod | stream_started | `stream_no` | kind:stream_no |
| pod | first_audio_sent | `ms` since `start` | kind:stream_no |
| pod | first_words_heard | `ms` since `start` | kind:stream_no |
| pod | tool_called | `call_id`, `name`, `arguments` | call_id |
| pod | voicemail_begun | `stream_no`: it knows of the plan | kind:stream_no |
| pod | voicemail_left | - | kind |
| pod | transferred | - | kind |
| pod | provider_failed | `provider`, `error` | kind:stream_no:provider |
| pod | provider_replaced | `provider`, `error`: another did its work | kind:number:stream_no |
| pod | conversation_closed | `ended_by`, `reason`, `human_turns` | kind:stream_no |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    """Where a fact comes from."""

    CARRIER = "carrier"
    AMD = "amd"
    RECORDING = "recording"
    STREAM = "stream"
    GATEWAY = "gateway"
    TRANSFER = "transfer"
    DIALER = "dialer"
    OPERATOR = "operator"
    RECONCILE = "reconcile"
    POD = "pod"


@dataclass(frozen=True)
class Event:
    """One fact, as the rules see it. Storage keeps the same with its number and arrival."""

    source: Source
    kind: str
    dedupe_key: str
    occurred_at: datetime
    call_sid: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)


QUIET: frozenset[tuple[Source, str]] = frozenset(
    {
        (Source.POD, "first_audio_sent"),
        (Source.POD, "first_words_heard"),
        (Source.POD, "provider_replaced"),
        (Source.POD, "voicemail_begun"),
        (Source.STREAM, "status"),
        (Source.GATEWAY, "held"),
    }
)
"""Facts that change nothing by themselves while the call lives: what ends it is told too."""
