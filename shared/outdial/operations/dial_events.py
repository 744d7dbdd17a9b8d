"""Facts that the dialer itself knows about an attempt (domain/call_events.py has the list)."""

from collections.abc import Mapping
from datetime import UTC, datetime

from outdial.domain.call_events import Event, Source
from outdial.telephony.dial_result import Accepted, DialResult, NotSent, OutcomeUnknown, Rejected


def event_of_result(result: DialResult) -> Event:
    """What the carrier answered to our POST."""
    match result:
        case Accepted(sid):
            return dialer_event("accepted", {"call_sid": sid}, call_sid=sid)
        case Rejected(code, status, message):
            return dialer_event("rejected", {"code": code, "status": status, "message": message})
        case NotSent(reason):
            return dialer_event("not_sent", {"reason": reason})
        case OutcomeUnknown(reason):
            return dialer_event("outcome_unknown", {"reason": reason})


def dialer_event(
    kind: str, payload: Mapping[str, object] | None = None, *, call_sid: str | None = None
) -> Event:
    """A fact of the dialer's; each kind stands once in an attempt's life."""
    return Event(Source.DIALER, kind, kind, datetime.now(UTC), call_sid, payload or {})
