"""One call: what was asked for and what has become of it."""

import math
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from outdial_sandbox.carrier.call_request import CallRequest
from outdial_sandbox.carrier.dialed_leg import LegRecord
from outdial_sandbox.carrier.faults import PostFault
from outdial_sandbox.carrier.identifiers import iso8601, new_sid
from outdial_sandbox.carrier.line import Line
from outdial_sandbox.carrier.media_stream import StreamRecord
from outdial_sandbox.carrier.recording import Recording
from outdial_sandbox.carrier.webhooks import WebhookLog
from outdial_sandbox.people.behaviour import Person

Status = Literal[
    "queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"
]
EndedBy = Literal["person", "caller", "carrier"]

_MOST_PROBLEMS = 200

FINAL = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


@dataclass(frozen=True)
class End:
    """How a call ends."""

    status: Status
    by: EndedBy
    sip_code: int | None = None


@dataclass(slots=True)
class Call:
    """A call that was accepted. Times are epoch seconds.

    `key` names it the same in each run: the number called, and the how-manieth POST to it.
    """

    account_sid: str
    request: CallRequest
    person: Person
    key: str = ""
    post_fault: PostFault | None = None
    sid: str = field(default_factory=lambda: new_sid("CA"))
    status: Status = "queued"
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    history: list[dict[str, Any]] = field(default_factory=list)
    queue_ms: int = 0
    dialed_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    ended_by: EndedBy | None = None
    sip_code: int | None = None
    answered_by: str | None = None
    detection_ms: int | None = None
    streams: list[StreamRecord] = field(default_factory=list)
    legs: list[LegRecord] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    log: WebhookLog = field(default_factory=WebhookLog)
    line: Line | None = None

    def __post_init__(self) -> None:
        self._note("queued", self.created_at)

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self.status in FINAL

    @property
    def seconds(self) -> int:
        """How long the parties were connected, in whole seconds."""
        if self.answered_at is None or self.ended_at is None:
            return 0
        return math.ceil(self.ended_at - self.answered_at)

    def dial(self) -> None:
        """The call leaves the queue."""
        self.dialed_at = time.time()
        self.queue_ms = round((self.dialed_at - self.created_at) * 1000)
        self._note("initiated", self.dialed_at)

    def move(self, status: Status) -> None:
        """Change the status, and note when."""
        self.status = status
        self._note(status, time.time())

    def end(self, end: End) -> None:
        """The call is over."""
        self.ended_at = time.time()
        self.ended_by = end.by
        self.sip_code = end.sip_code
        self.move(end.status)

    def forget(self) -> None:
        """Let go of all that only the ledger shows: an ended call is kept for REST alone."""
        self.line = None
        self.history, self.streams, self.legs, self.problems = [], [], [], []
        self.log = WebhookLog()
        self.request = replace(
            self.request, voice=None, twiml=None, fallback=None, status=None, detection=None
        )

    def problem(self, code: int, message: str) -> None:
        """What Twilio's debugger would show. A bot that talks nonsense does not fill the memory."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append({"at": time.time(), "code": code, "message": message})

    def _note(self, status: str, at: float) -> None:
        self.updated_at = at
        self.history.append({"status": status, "at": at})


def call_params(call: Call, status: str | None = None) -> dict[str, str]:
    """What every request of the carrier says of its call. Blank fields are sent, and signed."""
    request = call.request
    params = {
        "CallSid": call.sid,
        "AccountSid": call.account_sid,
        "From": request.caller,
        "To": request.to,
        "CallStatus": status or call.status,
        "ApiVersion": "2010-04-01",
        "Direction": "outbound-api",
        "ForwardedFrom": "",
        "CallerName": "",
    }
    for name, number in (("From", request.caller), ("To", request.to)):
        role = {"From": "Caller", "To": "Called"}[name]
        params[role] = number
        for prefix in (name, role):
            params |= {f"{prefix}{part}": "" for part in ("City", "State", "Zip")}
            params[f"{prefix}Country"] = "US" if number.startswith("+1") else ""
    return params


def stream_params(call: Call, record: StreamRecord, event: str, error: str = "") -> dict[str, str]:
    """The form of a stream's statusCallback."""
    params = {
        "AccountSid": call.account_sid,
        "CallSid": call.sid,
        "StreamSid": record.sid,
        "StreamName": record.name or record.sid,
        "StreamEvent": event,
        "Timestamp": iso8601(time.time()),
    }
    return params | ({"StreamError": error} if error else {})
