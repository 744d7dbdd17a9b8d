"""A deployment whose commits can be held back: how two actions meet, and what must hold."""

import asyncio
import uuid
from dataclasses import replace
from typing import Any, cast

from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from dialing_actions import Actions, Op
from dialing_world import CALLER, TEMPLATE, World
from held_commits import Pause, WatchedSession, before_commit, hold_back
from outdial.operations.parse_template import body_of, parse_template
from outdial.operations.rebuild_reservations import rebuild_reservations
from outdial.operations.run_sweeps import run_sweeps
from outdial.operations.runtime import Runtime, open_runtime
from outdial.settings import Settings
from outdial.storage import numbers, templates
from outdial.storage.engine import Sessions, database
from outdial.storage.tables import Attempt
from outdial.telephony.twilio_client import PlaceCall, TwilioCarrier
from promises import AGED, BROKEN, LIVE_IN_ALL, PER_DAY
from telephone_model import Commits, TelephoneNetwork

HELD_OPEN = 0.15
"""Seconds for which a commit waits for what happens meanwhile, which may itself wait for a lock."""


class Deployment(Actions):
    """Everything that acts on leads and attempts, on one event loop."""

    def __init__(self, settings_: Settings) -> None:
        self._settings = settings_
        self.runner = asyncio.Runner()
        self.commits = Commits()

    async def open(self) -> None:
        self._opened = open_runtime(self._settings)
        opened = await self._opened.__aenter__()
        self.engine = create_async_engine(database(self._settings.database_url), pool_size=20)
        self.sessions = Sessions(self.engine, sync_session_class=WatchedSession)
        event.listen(WatchedSession, "before_commit", hold_back)
        event.listen(WatchedSession, "after_begin", self.commits.note_begin)
        event.listen(WatchedSession, "after_commit", self.commits.note)
        self.opened = opened

    async def close(self) -> None:
        event.remove(WatchedSession, "before_commit", hold_back)
        event.remove(WatchedSession, "after_begin", self.commits.note_begin)
        event.remove(WatchedSession, "after_commit", self.commits.note)
        await self.engine.dispose()
        await self._opened.__aexit__(None, None, None)

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
        self.campaigns = [await self.add_campaign() for _ in range(2)]
        self.leads = []
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

    # How they meet

    async def hold_commit(self, first: Op, nth: int, then: Op) -> None:
        """`then` comes between `first`'s work and its n-th commit."""
        pause = Pause(nth)

        async def paused() -> None:
            before_commit.set(pause)
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
