"""Twilio's forms as call events: what each says, and by what it is known when it comes twice."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from outdial.domain.call_events import Event, Source

Form = Mapping[str, str]


def status_event(form: Form, now: datetime) -> Event:
    """A step of the call."""
    sid = form.get("CallSid", "")
    number = form.get("SequenceNumber") or form.get("CallStatus", "")
    return _event(Source.CARRIER, "status", f"{sid}:{number}", form, now)


def amd_event(form: Form, now: datetime) -> Event:
    """The verdict of machine detection."""
    return _event(Source.AMD, "verdict", form.get("CallSid", ""), form, now)


def recording_event(form: Form, now: datetime) -> Event:
    """A recording begins, is there, or is not."""
    key = f"{form.get('RecordingSid', '')}:{form.get('RecordingStatus', '')}"
    return _event(Source.RECORDING, "recording", key, form, now)


def stream_status_event(form: Form, now: datetime) -> Event:
    """A media stream started, stopped or failed."""
    key = f"{form.get('StreamSid', '')}:{form.get('StreamEvent', '')}"
    return _event(Source.STREAM, "status", key, form, now)


def stream_ended_event(form: Form, stream_no: int, now: datetime) -> Event:
    """`<Connect>` is over: what Twilio posted to its action."""
    key = f"{form.get('CallSid', '')}:{stream_no}"
    event = _event(Source.STREAM, "ended", key, form, now)
    return Event(
        event.source,
        event.kind,
        event.dedupe_key,
        event.occurred_at,
        event.call_sid,
        {**form, "stream_no": stream_no},
    )


def transfer_event(form: Form, now: datetime) -> Event:
    """The dial to a human has ended: `DialCallStatus` says whether they met."""
    return _event(Source.TRANSFER, "ended", form.get("CallSid", ""), form, now)


def voicemail_spoken_event(form: Form, now: datetime) -> Event:
    """The carrier has spoken the message to its end, in place of the pod."""
    return _event(Source.GATEWAY, "voicemail_left", "voicemail_left", form, now)


def fallback_event(form: Form, now: datetime) -> Event:
    """Twilio could not have our TwiML, or could not execute it."""
    return _event(Source.GATEWAY, "fallback", "fallback", form, now)


def answered_event(call_sid: str, pod: str, stream_no: int, degraded: bool, now: datetime) -> Event:
    """We told Twilio where to connect the call. `degraded`: a store did not answer in time."""
    payload = {"pod": pod, "stream_no": stream_no, "degraded": degraded}
    key = f"answered:{stream_no}"
    return Event(Source.GATEWAY, "answered", key, now, call_sid or None, payload)


def held_event(call_sid: str, holds: int, now: datetime) -> Event:
    """No pod had room for an answered call: it was asked to wait, or let go."""
    return Event(Source.GATEWAY, "held", f"held:{holds}", now, call_sid or None, {"holds": holds})


def _event(source: Source, kind: str, key: str, form: Form, now: datetime) -> Event:
    at = _time_of(form.get("Timestamp") or form.get("RecordingStartTime") or "") or now
    return Event(source, kind, key, at, form.get("CallSid") or None, dict(form))


def _time_of(text: str) -> datetime | None:
    """RFC 2822 in status callbacks, ISO 8601 in those of streams."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = read(text)
        except (ValueError, IndexError):
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None
