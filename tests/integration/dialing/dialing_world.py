"""A deployment whose carrier is played by an object: everything else is real."""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text

from outdial.domain.call_events import Event, Source
from outdial.operations.claim_due_leads import DispatchReport, dispatch
from outdial.operations.parse_template import body_of, parse_template
from outdial.operations.place_attempt import place_attempts
from outdial.operations.record_callback import record_event
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import settle_attempt
from outdial.operations.suppress_number import suppress
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.storage import attempts, call_events, leads, templates
from outdial.storage.ids import new_id
from outdial.storage.leads import NewContact, NewLead
from outdial.storage.tables import Attempt, Campaign, Lead, Unsettled
from outdial.telephony.dial_result import (
    Accepted,
    AlreadyEnded,
    CarrierAway,
    CarrierCall,
    DialResult,
    NoSuchCall,
    Updated,
    UpdateResult,
)
from outdial.telephony.twilio_client import NOT_DEPARTED, CallDeparture, PlaceCall

CALLER = "+15005550006"
_sids = itertools.count(1)


def new_sid() -> str:
    return f"CA{next(_sids):032d}"


@dataclass
class FakeCarrier:
    """Has the methods of `TwilioCarrier`; what it answers to a POST is set by the test."""

    posts: list[PlaceCall] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    known: dict[str, CarrierCall] = field(default_factory=dict)
    away: bool = False
    on_post: Callable[[PlaceCall, str], Awaitable[DialResult]] | None = None
    on_end: Callable[[str], UpdateResult] | None = None

    async def place(self, call: PlaceCall, departure: CallDeparture) -> DialResult:
        if await departure.when() is None:
            return NOT_DEPARTED
        self.posts.append(call)
        sid = new_sid()
        self.remember(call.to, call.caller, sid)
        return await self.on_post(call, sid) if self.on_post else Accepted(sid)

    def remember(self, to: str, caller: str, sid: str, status: str = "ringing") -> CarrierCall:
        now = datetime.now(UTC)
        call = CarrierCall(sid, to, caller, status, "outbound-api", None, None, now, now, None)
        self.known[sid] = call
        return call

    async def end_call(self, sid: str) -> UpdateResult:
        self.ended.append(sid)
        return self.on_end(sid) if self.on_end else Updated()

    async def update_twiml(self, sid: str, twiml: str) -> UpdateResult:
        return AlreadyEnded()

    async def fetch_call(self, sid: str) -> CarrierCall | NoSuchCall | CarrierAway:
        if self.away:
            return CarrierAway("away")
        return self.known.get(sid, NoSuchCall())

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
            call
            for call in self.known.values()
            if call.to == to and call.caller == caller and status in {None, call.status}
        ]

    def close(self) -> None:
        pass


TEMPLATE: dict[str, Any] = {
    "slug": "order",
    "agent": {"name": "Amelia", "greeting": "Hello, this is an AI.", "prompt": "Be brief."},
    "retry": {"max_retries": 2},
}


@dataclass
class World:
    """What tests do to the deployment, in their own words."""

    runtime: Runtime
    carrier: FakeCarrier
    campaign_id: uuid.UUID
    template_id: uuid.UUID
    boot_id: str = "boot-1"

    async def add_lead(self, *phones: str, campaign: uuid.UUID | None = None, **more: Any) -> Lead:
        contacts = tuple(NewContact(phone) for phone in phones or (some_phone(),))
        new = NewLead(campaign or self.campaign_id, self.template_id, contacts, **more)
        async with self.runtime.sessions.begin() as session:
            await leads.insert(session, [new], datetime.now(UTC) - timedelta(seconds=1))
        return await self.lead(new.id)

    async def add_campaign(self, name: str, **more: Any) -> uuid.UUID:
        campaign = Campaign(
            id=new_id(), name=name, template_id=self.template_id, status="running", **more
        )
        async with self.runtime.sessions.begin() as session:
            session.add(campaign)
        return campaign.id

    async def add_template(self, **changes: Any) -> uuid.UUID:
        async with self.runtime.sessions.begin() as session:
            template = parse_template({**TEMPLATE, **changes})
            return (await templates.add(session, template.slug, body_of(template))).id

    async def set_campaign(self, campaign_id: uuid.UUID | None = None, **values: Any) -> None:
        async with self.runtime.sessions.begin() as session:
            campaign = await session.get_one(Campaign, campaign_id or self.campaign_id)
            for name, value in values.items():
                setattr(campaign, name, value)

    async def beat(self, slots: int = 100, pod: str = "pod-1") -> None:
        heartbeat = Heartbeat(pod, self.boot_id, f"wss://outdial.test/pods/{pod}", slots)
        await beat(self.runtime.redis, heartbeat, self.runtime.settings)

    async def lead(self, lead_id: uuid.UUID) -> Lead:
        async with self.runtime.sessions() as session:
            return await session.get_one(Lead, lead_id)

    async def attempt(self, attempt_id: uuid.UUID) -> Attempt:
        async with self.runtime.sessions() as session:
            return await session.get_one(Attempt, attempt_id)

    async def attempts_of(self, lead: Lead) -> list[Attempt]:
        async with self.runtime.sessions() as session:
            return await attempts.of_lead(session, lead.id)

    async def events_of(self, attempt_id: uuid.UUID) -> list[tuple[str, str]]:
        async with self.runtime.sessions() as session:
            rows = await call_events.of_attempt(session, attempt_id)
        return [(row.source, row.kind) for row in rows]

    async def unsettled(self) -> int:
        async with self.runtime.sessions() as session:
            return (await session.scalar(select(func.count()).select_from(Unsettled))) or 0

    async def dispatch(self) -> DispatchReport:
        return await dispatch(self.runtime)

    async def claim(self, lead: Lead) -> Attempt:
        """Claim this lead, which is the only one that is due."""
        report = await self.dispatch()
        assert len(report.claimed) == 1, report
        attempt = await self.attempt(report.claimed[0])
        assert attempt.lead_id == lead.id
        return attempt

    async def place(self, *attempt_ids: uuid.UUID) -> dict[str, int]:
        return await place_attempts(self.runtime, attempt_ids)

    async def dial(self, lead: Lead) -> Attempt:
        """Claim and place this lead's call, which the carrier accepts."""
        attempt = await self.claim(lead)
        assert await self.place(attempt.id) == {"Accepted": 1}
        return await self.attempt(attempt.id)

    async def opt_out(self, phone: str) -> None:
        """An operator writes down that this number asked for no more calls."""
        await suppress(self.runtime, phone, "asked", "api")

    async def opt_out_while_it_rings(self) -> Attempt:
        """A new lead's call rings when its number opts out; the attempt as it was before."""
        attempt = await self.dial(await self.add_lead())
        await self.opt_out(attempt.phone)
        return attempt

    async def hear(self, attempt_id: uuid.UUID, *events: Event) -> None:
        """Events arrive, and are settled."""
        for event in events:
            await record_event(self.runtime, attempt_id, event)
        await settle_attempt(self.runtime, attempt_id)

    async def make_due(self, lead: Lead) -> None:
        await self.execute(
            "UPDATE leads SET next_attempt_at = now() - interval '1 second' WHERE id = :id",
            id=lead.id,
        )

    async def age(self, attempt_id: uuid.UUID, seconds: float) -> None:
        """Let everything about an attempt have happened earlier."""
        columns = ("queued_at", "hinted_at", "claim_expires_at", "intent_at", "heard_at")
        moved = ", ".join(f"{name} = {name} - make_interval(secs => :by)" for name in columns)
        await self.execute(f"UPDATE attempts SET {moved} WHERE id = :id", id=attempt_id, by=seconds)
        await self.execute(
            "UPDATE unsettled SET created_at = created_at - make_interval(secs => :by) "
            "WHERE attempt_id = :id",
            id=attempt_id,
            by=seconds,
        )

    async def execute(self, statement: str, **values: object) -> None:
        async with self.runtime.sessions.begin() as session:
            await session.execute(text(statement), values)

    async def full_pace(self) -> None:
        """Redis was not just emptied: the next departure is at once."""
        await self.runtime.redis.set(f"outdial:pace:{self.runtime.settings.twilio_account_sid}", 0)

    async def departure(self) -> float:
        """Take a dial token; when the one after it departs, by Redis's own clock."""
        await self.runtime.dial_tokens.take_departure()
        key = f"outdial:pace:{self.runtime.settings.twilio_account_sid}"
        return float(await self.runtime.redis.get(key)) / 1000


_phones = itertools.count(100)


def some_phone() -> str:
    """A number in use in New York that no other lead of this process has."""
    return f"+1212555{next(_phones):04d}"


def status(name: str, number: int, sid: str, **form: str) -> Event:
    """A status callback, as the gateway stores it."""
    payload = {"CallSid": sid, "CallStatus": name, "SequenceNumber": str(number), **form}
    at = datetime.now(UTC) + timedelta(milliseconds=number)
    return Event(Source.CARRIER, "status", f"{sid}:{number}", at, sid, payload)


def amd(verdict: str, sid: str) -> Event:
    payload = {"CallSid": sid, "AnsweredBy": verdict}
    return Event(Source.AMD, "verdict", sid, datetime.now(UTC), sid, payload)


def pod(kind: str, key: str | None = None, **payload: object) -> Event:
    return Event(Source.POD, kind, key or f"{kind}:1", datetime.now(UTC), None, payload)


def tool(name: str, **arguments: object) -> Event:
    return pod(
        "tool_called", f"call-{name}", call_id=f"call-{name}", name=name, arguments=arguments
    )


def closed(ended_by: str = "agent", reason: str = "agent_ended", human_turns: int = 2) -> Event:
    return pod("conversation_closed", ended_by=ended_by, reason=reason, human_turns=human_turns)


def conversation(sid: str, *said: Event) -> list[Event]:
    """Everything that is told of a call that was answered and ended well."""
    return [
        status("initiated", 0, sid),
        status("ringing", 1, sid),
        status("in-progress", 2, sid),
        pod("stream_started", stream_no=1),
        *said,
        closed(),
        status("completed", 3, sid, CallDuration="20"),
    ]


def closed_now() -> dict[str, object]:
    """Hours that open in six hours or more, in New York."""
    today = datetime.now(UTC)
    days = [(today + timedelta(days=n)).date().isoformat() for n in (-1, 0, 1)]
    return {"weekdays": {}, "closed_dates": days, "require_timezone": False}


async def in_parallel(*work: Awaitable[Any]) -> Sequence[Any]:
    return await asyncio.gather(*work)


def plain(attempt: Attempt) -> Mapping[str, object]:
    """What must not depend on the order of events."""
    names = ("state", "outcome", "spent", "end_reason", "call_sid", "answered_at", "ended_at")
    return {name: getattr(attempt, name) for name in names} | {"facts": attempt.facts}
