"""A carrier whose calls live and die by themselves, and that notes each POST it should not get.

It has the methods of `TwilioCarrier`. What the promises say of a POST is judged here, against what
had been committed when the attempt's intent was: nothing of Outdial's own gates is asked.
"""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from dialing_world import new_sid
from outdial.telephony.dial_result import (
    Accepted,
    AlreadyEnded,
    CarrierAway,
    CarrierCall,
    DialResult,
    NoSuchCall,
    NotSent,
    NotUpdated,
    OutcomeUnknown,
    Rejected,
    Updated,
    UpdateResult,
)
from outdial.telephony.twilio_client import NOT_DEPARTED, CallDeparture, PlaceCall

RINGS_FOR = 30
LONGEST_CALL = 600
ENDINGS = ("completed", "busy", "no-answer", "failed")
ANSWERS = ("accepted", "lost", "killed after", "killed before", "lost on the way", "slow", "bad")
"""How a POST comes out. Of the first three a call exists, and only the first one tells its SID."""


class Killed(BaseException):
    """The worker died here."""


@dataclass
class Call:
    """One call at the carrier: what is true, whoever was told of it."""

    sid: str
    attempt_id: uuid.UUID
    to: str
    caller: str
    ending: str
    age: float = 0.0
    answered: bool = False
    over: bool = False

    @property
    def status(self) -> str:
        if self.over:
            return self.ending
        return "in-progress" if self.answered else "ringing"

    def end(self, status: str) -> None:
        if not self.over:
            self.over, self.ending = True, status

    def grow_older(self, seconds: float) -> None:
        self.age += seconds
        if not self.answered and self.age >= RINGS_FOR:
            self.end("no-answer" if self.ending == "completed" else self.ending)
        elif self.age >= LONGEST_CALL:
            self.end("completed")

    def as_fetched(self) -> CarrierCall:
        created = datetime.now(UTC) - timedelta(seconds=self.age)
        duration = 5 if self.over else None
        end = datetime.now(UTC) if self.over else None
        return CarrierCall(
            self.sid, self.to, self.caller, self.status, "outbound-api", None, duration, created,
            created, end,
        )  # fmt: skip


@dataclass
class Commits:
    """In which order things were committed, and by which task (a commit runs in one of its own)."""

    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    last: "dict[asyncio.Task[object] | None, int]" = field(default_factory=dict)

    def note_begin(self, session: Session, *_: object) -> None:
        """The task that runs now works with this session."""
        session.info["task"] = asyncio.current_task()

    def note(self, session: Session) -> None:
        """The session's task has committed."""
        self.last[session.info.get("task")] = next(self.numbers)

    def of_this_task(self) -> int:
        """When the task that runs now committed last."""
        return self.last[asyncio.current_task()]


@dataclass
class TelephoneNetwork:
    """Calls, and what was wrong with how they were asked for."""

    commits: Commits
    calls: list[Call] = field(default_factory=list)
    posted: dict[uuid.UUID, int] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)  # how the next POSTs come out
    endings: list[str] = field(default_factory=list)
    away: bool = False
    closed: dict[object, int] = field(default_factory=dict)  # campaign or number: since when
    meanwhile: Callable[[PlaceCall], Awaitable[None]] | None = None
    campaign_of: Callable[[uuid.UUID], Awaitable[uuid.UUID]] | None = None
    wrongs: list[str] = field(default_factory=list)

    def close_door(self, what: object) -> None:
        """From here on, no attempt may turn `dialing` for this campaign or number."""
        self.closed.setdefault(what, next(self.commits.numbers))

    def open_door(self, what: object) -> None:
        self.closed.pop(what, None)

    def calls_of(self, attempt_id: uuid.UUID) -> list[Call]:
        return [call for call in self.calls if call.attempt_id == attempt_id]

    def grow_older(self, seconds: float) -> None:
        for call in self.calls:
            call.grow_older(seconds)

    async def place(self, call: PlaceCall, departure: CallDeparture) -> DialResult:
        if await departure.when() is None:
            return NOT_DEPARTED
        try:
            await self._judge(call)
        except Exception as error:
            self.wrongs.append(f"could not be judged: {error!r}")  # a dialer goes on regardless
            raise
        answer = self.answers.pop() if self.answers else "accepted"
        made = Call(new_sid(), call.attempt_id, call.to, call.caller, "completed")
        if answer in ANSWERS[:3]:
            made.ending = self.endings.pop() if self.endings else "completed"
            self.calls.append(made)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile(call)
        match answer:
            case "accepted":
                return Accepted(made.sid)
            case "killed after" | "killed before":
                raise Killed
            case "lost on the way":
                return NotSent("connection refused")
            case "slow":
                return Rejected(20429, 429, "too many requests")
            case "bad":
                return Rejected(21211, 400, "not a number")
        return OutcomeUnknown("read timeout")

    async def _judge(self, call: PlaceCall) -> None:
        self.posted[call.attempt_id] = self.posted.get(call.attempt_id, 0) + 1
        if self.posted[call.attempt_id] > 1:
            self.wrongs.append("a second POST for one attempt")
        if any(other.to == call.to and not other.over for other in self.calls):
            self.wrongs.append("two calls to one number at once")
        intent = self.commits.of_this_task()
        assert self.campaign_of is not None
        for what in (call.to, await self.campaign_of(call.attempt_id)):
            if self.closed.get(what, intent) < intent:
                self.wrongs.append(f"the intent was committed after the door was closed: {what}")

    async def end_call(self, sid: str) -> UpdateResult:
        if self.away:
            return NotUpdated("away")
        call = next((one for one in self.calls if one.sid == sid), None)
        if call is None or call.over:
            return AlreadyEnded()
        call.end("completed" if call.answered else "canceled")
        return Updated()

    async def update_twiml(self, sid: str, twiml: str) -> UpdateResult:
        return AlreadyEnded()

    async def fetch_call(self, sid: str) -> CarrierCall | NoSuchCall | CarrierAway:
        if self.away:
            return CarrierAway("away")
        return next((call.as_fetched() for call in self.calls if call.sid == sid), NoSuchCall())

    async def list_calls(
        self,
        *,
        to: str | None = None,
        caller: str | None = None,
        status: str | None = None,
        started_after: datetime | None = None,
        limit: int = 100,
    ) -> list[CarrierCall] | CarrierAway:
        if self.away:
            return CarrierAway("away")
        return [
            call.as_fetched()
            for call in self.calls
            if call.to == to and call.caller == caller and status in {None, call.status}
        ]

    def close(self) -> None:
        pass
