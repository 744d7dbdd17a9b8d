"""What somebody may do to leads and attempts at any moment."""

import asyncio
import itertools
import uuid
from contextlib import suppress as ignore
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from redis.exceptions import RedisError
from sqlalchemy import select

from dialing_world import World, amd, closed, closed_now, pod, status, tool
from outdial.domain.call_events import Event
from outdial.domain.errors import Conflict
from outdial.operations.change_lead import LeadChange, cancel_lead, change_lead, dial_now
from outdial.operations.control_campaign import cancel_campaign, change_campaign, pull_lever
from outdial.operations.record_callback import record_event
from outdial.operations.run_sweeps import run_sweeps
from outdial.operations.settle_attempt import settle_attempt, settle_if_told
from outdial.operations.suppress_number import allow_again, suppress
from outdial.storage.engine import Sessions
from outdial.storage.ids import new_id
from outdial.storage.tables import Attempt, Campaign
from promises import LIVE_IN_CAMPAIGN
from telephone_model import ANSWERS, ENDINGS, Call, TelephoneNetwork

PHONES = tuple(f"+121255501{n}" for n in range(71, 76))
_names = itertools.count(1)


@dataclass(frozen=True)
class Op:
    """One thing that somebody does: to the `which`-th lead or attempt, in the `how`-th way."""

    name: str
    which: int
    how: int


class Actions:
    """Operators, dispatchers, dialers, people and the carrier; each does one thing at a time."""

    world: World
    network: TelephoneNetwork
    sessions: Sessions
    campaigns: list[uuid.UUID]
    leads: list[uuid.UUID]

    async def do(self, op: Op) -> None:
        # An operator is told that a lever does not work there; a Redis that is late is away.
        with ignore(Conflict, RedisError):
            await getattr(self, op.name)(op.which, op.how)

    async def claim(self, _which: int, how: int) -> None:
        """One dispatcher, or two at once."""
        await asyncio.gather(*(self.world.dispatch() for _ in range(1 + how % 2)))

    async def place(self, which: int, how: int) -> None:
        queued = [row.id for row in await self.attempts() if row.state == "queued"]
        if not queued:
            return
        self.network.answers.append(ANSWERS[max(0, how - 3)])
        self.network.endings.append(ENDINGS[(which + how) % 4])
        await self.world.place(queued[which % len(queued)])

    async def place_all(self, _which: int, how: int) -> None:
        queued = [row.id for row in await self.attempts() if row.state == "queued"]
        self.network.endings.append(ENDINGS[how % 4])
        hints = 1 + how % 2  # a message may come twice
        await asyncio.gather(*(self.world.place(*queued) for _ in range(hints)))

    async def call(self, which: int, how: int) -> None:
        """A lead comes, and dispatcher and dialer take their turn."""
        await self.add_lead(which, None, how % 2)
        await self.claim(which, how)
        await self.place_all(which, how)

    async def add_lead(self, first: int, second: int | None, campaign: int) -> None:
        phones = [PHONES[n % len(PHONES)] for n in (first, second) if n is not None]
        lead = await self.world.add_lead(*phones, campaign=self.campaigns[campaign])
        self.leads.insert(0, lead.id)

    async def busy_once(self, phone: int) -> None:
        """A lead whose first call ended without an answer, and whose next is due."""
        self.network.endings[:] = ["busy"]
        await self.call(phone, 2)
        await self.hang_up(0, 2)
        await self.do(Op("dial_one_now", 0, 0))

    async def reopen(self) -> None:
        """Every lever is put back, and the calls of before are over."""
        for which in range(len(PHONES)):
            await self.allow(which, 0)
        for which in range(2):
            await self.resume(which, 0)
        self.network.away = False
        while any(not call.over for call in self.network.calls):
            await self.hang_up(0, 0)

    async def answer(self, which: int, how: int) -> None:
        """Somebody picks up, and talks to a pod."""
        live = [call for call in self.network.calls if not call.over and not call.answered]
        if not live:
            return
        call = live[which % len(live)]
        call.answered = True
        for fact in (_fact(call, 2), _fact(call, 5)):
            await record_event(self.world.runtime, call.attempt_id, fact)
        await settle_attempt(self.world.runtime, call.attempt_id)

    async def hang_up(self, which: int, how: int) -> None:
        """A call ends, and carrier and pod say so in either order, or only one of them does."""
        live = [call for call in self.network.calls if not call.over]
        if not live:
            return
        call = live[which % len(live)]
        facts = [_fact(call, 3), _fact(call, 6)]
        for fact in (facts, facts[::-1], facts[:1], facts[1:])[how % 4]:
            await record_event(self.world.runtime, call.attempt_id, fact)
        await settle_attempt(self.world.runtime, call.attempt_id)

    async def tell(self, which: int, how: int) -> None:
        """One fact of one attempt, be it new, old, or of a call that it never had."""
        found = await self.attempts()
        if not found:
            return
        attempt = found[which % len(found)]
        calls = self.network.calls_of(attempt.id)
        fact = _fact(calls[-1], how) if calls else tool("record_outcome", ok=True)
        await record_event(self.world.runtime, attempt.id, fact)

    async def settle(self, which: int, how: int) -> None:
        for attempt in (await self.attempts())[: which + 1]:
            if how % 3 == 0:
                await settle_attempt(self.world.runtime, attempt.id)
            else:
                await settle_if_told(self.world.runtime, attempt.id)

    async def sweep(self, _which: int, _how: int) -> None:
        await run_sweeps(self.world.runtime)

    async def opt_out(self, which: int, _how: int) -> None:
        phone = PHONES[which % len(PHONES)]
        await suppress(self.world.runtime, phone, "asked", "api")
        self.network.close_door(phone)

    async def allow(self, which: int, _how: int) -> None:
        phone = PHONES[which % len(PHONES)]
        self.network.open_door(phone)
        await allow_again(self.world.runtime, phone)

    async def pause(self, which: int, _how: int) -> None:
        campaign = self.campaigns[which % 2]
        await pull_lever(self.world.runtime, campaign, "pause")
        self.network.close_door(campaign)

    async def resume(self, which: int, _how: int) -> None:
        campaign = self.campaigns[which % 2]
        self.network.open_door(campaign)
        await change_campaign(self.world.runtime, campaign, {"hours": None})
        await pull_lever(self.world.runtime, campaign, "resume")

    async def close_hours(self, which: int, _how: int) -> None:
        campaign = self.campaigns[which % 2]
        await change_campaign(self.world.runtime, campaign, {"hours": closed_now()})
        self.network.close_door(campaign)

    async def cancel(self, which: int, how: int) -> None:
        campaign = self.campaigns[which % 2]
        await cancel_campaign(self.world.runtime, campaign, "hangup" if how % 2 else "finish")
        self.network.close_door(campaign)
        if self.campaigns[which % 2] == campaign:
            self.campaigns[which % 2] = await self.add_campaign()

    async def cancel_one(self, which: int, _how: int) -> None:
        if self.leads:
            await cancel_lead(self.world.runtime, self.leads[which % len(self.leads)])

    async def dial_one_now(self, which: int, _how: int) -> None:
        if self.leads:
            await dial_now(self.world.runtime, self.leads[which % len(self.leads)])

    async def change_one(self, which: int, how: int) -> None:
        if not self.leads:
            return
        now = datetime.now(UTC)
        given: dict[str, object] = [
            {"held": True},
            {"held": False},
            {"expires_at": now - timedelta(seconds=1)},
            {"expires_at": now + timedelta(seconds=30)},
            {"not_before": now + timedelta(seconds=30)},
        ][how % 5]
        lead = self.leads[which % len(self.leads)]
        await change_lead(self.world.runtime, lead, LeadChange(given))

    async def lose_carrier(self, _which: int, how: int) -> None:
        self.network.away = how % 2 == 0

    async def add_campaign(self) -> uuid.UUID:
        campaign = Campaign(
            id=new_id(), name=f"orders {next(_names)}", template_id=self.world.template_id,
            status="running", max_live_calls=LIVE_IN_CAMPAIGN,
        )  # fmt: skip
        async with self.sessions.begin() as session:
            session.add(campaign)
        return campaign.id

    async def attempts(self) -> list[Attempt]:
        """All of them, the youngest first."""
        async with self.sessions() as session:
            rows = await session.scalars(select(Attempt).order_by(Attempt.id.desc()))
            return list(rows)


def _fact(call: Call, how: int) -> Event:
    """What may be told of a call. To be told of its end or its answer makes it true."""
    if how == 2 and not call.over and call.ending == "completed":
        call.answered = True
    if how in {3, 4}:
        call.end("no-answer" if call.ending == "completed" and not call.answered else call.ending)
    foreign = status("ringing", 1, "CA-of-nobody")
    facts: list[Event] = [
        status("initiated", 0, call.sid),
        status("ringing", 1, call.sid),
        status("in-progress" if call.answered else "ringing", 2 if call.answered else 1, call.sid),
        status(call.status, 3, call.sid),
        status(call.status, 3, call.sid),
        pod("stream_started", stream_no=1) if call.answered else amd("unknown", call.sid),
        closed() if call.answered else status("ringing", 1, call.sid),
        tool("opt_out") if call.answered else amd("machine_start", call.sid),
        tool("record_outcome", ok=True),
        tool("schedule_callback", in_minutes=2) if call.answered else foreign,
    ]  # fmt: skip
    return facts[how]
