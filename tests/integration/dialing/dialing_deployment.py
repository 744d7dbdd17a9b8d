"""Everything that acts on leads and attempts, and how two of them meet at a commit."""

import asyncio
import itertools
import uuid
from contextlib import suppress as ignore
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from redis.exceptions import RedisError
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.util import await_only

from dialing_world import CALLER, TEMPLATE, World, amd, closed, closed_now, pod, status, tool
from outdial.domain.call_events import Event
from outdial.domain.errors import Conflict
from outdial.operations.change_lead import LeadChange, cancel_lead, change_lead, dial_now
from outdial.operations.control_campaign import cancel_campaign, change_campaign, pull_lever
from outdial.operations.parse_template import body_of, parse_template
from outdial.operations.rebuild_reservations import rebuild_reservations
from outdial.operations.record_callback import record_event
from outdial.operations.run_sweeps import run_sweeps
from outdial.operations.runtime import Runtime, open_runtime
from outdial.operations.settle_attempt import settle_attempt, settle_if_told
from outdial.operations.suppress_number import allow_again, suppress
from outdial.settings import Settings
from outdial.storage import numbers, templates
from outdial.storage.engine import database
from outdial.storage.ids import new_id
from outdial.storage.tables import Attempt, Campaign
from outdial.telephony.twilio_client import PlaceCall, TwilioCarrier
from promises import AGED, BROKEN, LIVE_IN_ALL, LIVE_IN_CAMPAIGN, PER_DAY
from telephone_model import ANSWERS, ENDINGS, Call, Commits, TelephoneNetwork

PHONES = tuple(f"+121255501{n}" for n in range(71, 76))
HELD_OPEN = 0.15
"""Seconds for which a commit waits for what happens meanwhile, which may itself wait for a lock."""

_before_commit: ContextVar["Pause | None"] = ContextVar("before_commit", default=None)


class Pause:
    """Holds the n-th commit of a task back until somebody else has done something, or waits."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def at_commit(self) -> None:
        if self._left == 0:
            self.reached.set()
            await self.go.wait()
        self._left -= 1


class WatchedSession(Session):
    """A session whose commits are numbered, and can be held back."""


@dataclass(frozen=True)
class Op:
    """One thing that somebody does: to the `which`-th lead or attempt, in the `how`-th way."""

    name: str
    which: int
    how: int


class Deployment:
    """Everything that acts on leads and attempts, on one event loop."""

    def __init__(self, settings_: Settings) -> None:
        self._settings = settings_
        self.runner = asyncio.Runner()
        self.world: World
        self.network: TelephoneNetwork
        self.commits = Commits()

    async def open(self) -> None:
        self._opened = open_runtime(self._settings)
        opened = await self._opened.__aenter__()
        self.engine = create_async_engine(database(self._settings.database_url), pool_size=20)
        self.sessions = async_sessionmaker(
            self.engine, sync_session_class=WatchedSession, expire_on_commit=False
        )
        event.listen(WatchedSession, "before_commit", self._hold_back)
        event.listen(WatchedSession, "after_begin", self.commits.note_begin)
        event.listen(WatchedSession, "after_commit", self.commits.note)
        self.opened = opened

    async def close(self) -> None:
        event.remove(WatchedSession, "before_commit", self._hold_back)
        event.remove(WatchedSession, "after_begin", self.commits.note_begin)
        event.remove(WatchedSession, "after_commit", self.commits.note)
        await self.engine.dispose()
        await self._opened.__aexit__(None, None, None)

    def _hold_back(self, _session: Session) -> None:
        pause = _before_commit.get()
        if pause is not None:
            await_only(pause.at_commit())

    async def begin(self) -> None:
        """Empty stores, two running campaigns, a pod with room."""
        self.commits.last.clear()
        self.network = TelephoneNetwork(self.commits, campaign_of=self._campaign_of)
        runtime = self._runtime()
        async with runtime.sessions.begin() as session:
            await session.execute(
                text(
                    "TRUNCATE attempts, leads, campaigns, templates, suppressions, numbers CASCADE"
                )
            )
            cooldowns = dict.fromkeys(("busy", "no_answer", "failed", "technical_failure"), 60)
            template = parse_template(
                {**TEMPLATE, "retry": {"max_retries": 3, "cooldowns": cooldowns}}
            )
            row = await templates.add(session, template.slug, body_of(template))
            await numbers.add(session, CALLER)
        await runtime.redis.flushdb()
        carrier = cast("Any", self.network)
        self.world = World(runtime, carrier, uuid.UUID(int=0), row.id)
        self.campaigns = [await self._add_campaign() for _ in range(2)]
        self.leads: list[uuid.UUID] = []
        self.seen: dict[uuid.UUID, tuple[str, str | None]] = {}
        await self.refresh_redis()

    def _runtime(self) -> Runtime:
        # A pod beats once in a while here, and no pace is kept.
        tuned = self._settings.model_copy(
            update={
                "calls_per_second": 400.0,
                "departure_notice_seconds": 0.01,
                "pod_out_after_seconds": 3600.0,
                "live_slot_lease_seconds": 3601.0,
                "max_live_calls": LIVE_IN_ALL,
                "max_attempts_per_day": PER_DAY,
            }
        )
        carrier = cast("TwilioCarrier", self.network)
        return replace(self.opened, settings=tuned, sessions=self.sessions, carrier=carrier)

    async def refresh_redis(self) -> None:
        await rebuild_reservations(self.world.runtime)
        await self.world.beat()
        await self.world.full_pace()

    async def _campaign_of(self, attempt_id: uuid.UUID) -> uuid.UUID:
        async with self.sessions() as session:
            row = await session.get_one(Attempt, attempt_id)
        assert row.campaign_id is not None
        return row.campaign_id

    async def _add_campaign(self) -> uuid.UUID:
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

    # What somebody may do at any moment

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
            self.campaigns[which % 2] = await self._add_campaign()

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

    # How they meet

    async def hold_commit(self, first: Op, nth: int, then: Op) -> None:
        """`then` comes between `first`'s work and its n-th commit."""
        pause = Pause(nth)

        async def paused() -> None:
            _before_commit.set(pause)
            await self.do(first)

        slow = asyncio.create_task(paused())
        reached = asyncio.create_task(pause.reached.wait())
        await asyncio.wait({slow, reached}, return_when=asyncio.FIRST_COMPLETED)
        quick = asyncio.create_task(self.do(then))
        if not slow.done():
            await asyncio.wait({quick}, timeout=HELD_OPEN)  # or it waits for a lock of `first`'s
        pause.go.set()
        reached.cancel()
        await asyncio.gather(slow, quick)

    async def during_post(self, op: Op) -> None:
        """`op` comes while a POST is under way."""

        async def meanwhile(_call: PlaceCall) -> None:
            # In a task of its own, so that its commits are not taken for the dialer's.
            await asyncio.create_task(self.do(op))

        self.network.meanwhile = meanwhile
        await self.place_all(0, 0)
        self.network.meanwhile = None

    async def grow_older(self, seconds: float) -> None:
        self.network.grow_older(seconds)
        for table, columns in AGED.items():
            moved = ", ".join(
                f"{name} = {name} - make_interval(secs => :by)" for name in columns.split()
            )
            await self.world.execute(f"UPDATE {table} SET {moved}", by=seconds)
        await self.refresh_redis()

    # What must hold

    async def check(self) -> None:
        assert not self.network.wrongs, self.network.wrongs
        async with self.sessions() as session:
            broken = " UNION ALL ".join(
                f"SELECT {number} AS promise, count(*) AS rows FROM ({query}) AS q{number}"
                for number, query in enumerate(BROKEN.values())
            )
            found = (await session.execute(text(broken))).tuples().all()
            rows = await session.execute(
                select(Attempt.id, Attempt.state, Attempt.call_sid, Attempt.spent)
            )
        names = list(BROKEN)
        assert not [(names[number], count) for number, count in found if count]
        for attempt_id, state, sid, spent in rows.tuples():
            was, bound = self.seen.get(attempt_id, (state, sid))
            assert "ended" not in {was} - {state}, "an ended attempt is live again"
            assert bound in {None, sid}, "another call was bound"
            self.seen[attempt_id] = state, sid
            if state == "ended" and self.network.calls_of(attempt_id):
                assert spent, "somebody's phone rang, and it does not count"

    async def heal(self) -> None:
        """All that was lost is found by the sweeps, when everything can be asked again."""
        self.network.away = False
        for seconds in (31, 700, 700, 10):
            await self.grow_older(seconds)
            await run_sweeps(self.world.runtime)
            await self.check()
        assert [row.state for row in await self.attempts() if row.state != "ended"] == []
        assert await self.world.unsettled() == 0


_names = itertools.count(1)


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
