"""What a claim costs with ten thousand leads waiting, and with a million.

Two databases of one server, dispatched in turns within one run, so that noise meets both alike. The
operation is the one that workers run, with slots reserved in Redis; only the hints are not sent.
"""

import asyncio
import dataclasses
import os
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from bench_stores import Stores, open_stores
from outdial.domain.call_template import Agent, CallTemplate
from outdial.operations.claim_due_leads import dispatch
from outdial.operations.create_template import create_template
from outdial.operations.runtime import Runtime, open_runtime
from outdial.queueing.hints import Hints
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.routing.slot_reservation import rebuild, release
from outdial.settings import Settings
from outdial.storage.ids import new_id
from outdial.storage.schema import upgrade
from outdial.storage.tables import Campaign

SMALL = int(os.environ.get("OUTDIAL_BENCH_SMALL_BACKLOG", "10000"))
LARGE = int(os.environ.get("OUTDIAL_BENCH_BACKLOG", "1000000"))
ROUNDS = int(os.environ.get("OUTDIAL_BENCH_CLAIM_ROUNDS", "30"))
WARM_UP = 5
CALLS_PER_SECOND = 30.0  # two seconds' worth are claimed by a dispatch: 60
MOST_RATIO = 1.1

_FILL = """
INSERT INTO leads (id, campaign_id, template_id, external_id, variables, next_attempt_at)
SELECT gen_random_uuid(), :campaign, :template, 'L-' || n, '{"clinic": "Lakeside Clinic"}',
       now() - interval '1 hour' + n * interval '1 millisecond'
FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n
"""
_CONTACTS = """
INSERT INTO contacts (id, lead_id, position, phone, name, timezone)
SELECT gen_random_uuid(), id, 0, '+1' || (2120000000 + substr(external_id, 3)::bigint),
       'Maria Lopez', 'Etc/UTC'
FROM leads WHERE NOT EXISTS (SELECT FROM contacts WHERE lead_id = leads.id)
"""
# A third has been turned away until later, a third is done: what an old campaign looks like.
_AGE = """
UPDATE leads SET
    next_attempt_at = CASE WHEN third = 1 THEN now() + interval '8 hours' END,
    refusal = CASE WHEN third = 1 THEN 'outside_hours' END,
    state = CASE WHEN third = 1 THEN 'backlog' ELSE 'finished' END,
    outcome = CASE WHEN third = 2 THEN 'completed' END,
    finished_at = CASE WHEN third = 2 THEN now() END
FROM (SELECT id AS aged, abs(hashtext(external_id)) % 3 AS third FROM leads) AS thirds
WHERE id = aged AND third > 0 AND state = 'backlog'
"""
_END = """
UPDATE attempts SET state = 'ended', ended_at = now(), spent = true, intent_at = now(),
    outcome = 'completed' WHERE state = 'queued'
"""
_FINISH = """
UPDATE leads SET state = 'finished', outcome = 'completed', live_attempt_id = NULL,
    next_attempt_at = NULL, finished_at = now() WHERE state = 'active'
    AND id = ANY(:leads)
"""
_COUNTS = (
    "SELECT count(*), count(*) FILTER (WHERE refusal IS NULL AND state = 'backlog') FROM leads"
)
_SCANS = """
SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('leads', 'contacts')
"""


class _NoHints(Hints):
    def place(self, attempt_ids: Sequence[UUID]) -> None:
        """Nobody is there to dial."""


async def measure_claims() -> dict[str, Any]:
    """Cost of a claim at both backlogs: fresh, analyzed, aged, and analyzed again."""
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores("claims", durable=True))
        small = await stack.enter_async_context(open_runtime(await _database(stores, "small")))
        large = await stack.enter_async_context(open_runtime(await _database(stores, "large")))
        await rebuild(small.redis, [])
        both = (await _campaign(small), await _campaign(large))
        phases = {}
        for name, share in (("fresh", 1), ("analyzed", 1), ("aged", 3), ("aged_and_analyzed", 3)):
            for runtime, backlog in zip(both, (SMALL, LARGE), strict=True):
                if name == "aged":
                    await _run(runtime, _AGE)
                await _fill_up(runtime, backlog // share)
                if "analyzed" in name:
                    await _run(runtime, "ANALYZE")
            phases[name] = await _phase(*both)
    return {
        "backlogs": [SMALL, LARGE],
        "claims_per_dispatch": int(2 * CALLS_PER_SECOND),
        "dispatches_each": ROUNDS,
        **phases,
        "worst_ratio": max(phase["ratio"] for phase in phases.values()),
        "target_ratio": MOST_RATIO,
    }


async def _phase(small: Runtime, large: Runtime) -> dict[str, Any]:
    for _ in range(WARM_UP):
        await _timed(small)
        await _timed(large)
    scans = await _scans(large)
    costs: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS):
        pairs = [(small, costs[0]), (large, costs[1])]
        for runtime, seconds in pairs if number % 2 else reversed(pairs):
            seconds.append(await _timed(runtime))
    first, second = (statistics.median(seconds) for seconds in costs)
    return {
        "us_per_claim_small": round(first * 1e6),
        "us_per_claim_large": round(second * 1e6),
        "claims_per_second_large": round(ROUNDS / sum(costs[1])),
        "ratio": round(second / first, 3),
        "scans_of_all_leads": await _scans(large) - scans,
    }


async def _timed(runtime: Runtime) -> float:
    """Seconds a claim took in one dispatch. What was claimed is then over, as after a call."""
    await _pods(runtime)
    began = time.perf_counter()
    report = await dispatch(runtime)
    took = time.perf_counter() - began
    if not report.claimed:
        raise RuntimeError(f"nothing was claimed: {report}")
    for attempt_id in report.claimed:
        await release(runtime.redis, attempt_id)
    async with runtime.sessions.begin() as session:
        ended = await session.scalars(text(_END + " RETURNING lead_id"))
        await session.execute(text(_FINISH), {"leads": list(ended)})
    return took / len(report.claimed)


async def _scans(runtime: Runtime) -> int:
    await asyncio.sleep(1.1)  # a session reports what it counted once a second at most
    async with runtime.sessions() as session:
        await session.execute(text("SELECT pg_stat_force_next_flush()"))
        return int(await session.scalar(text(_SCANS)) or 0)


async def _database(stores: Stores, name: str) -> Settings:
    async with open_runtime(stores.settings) as runtime, runtime.sessions() as session:
        connection = await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        await connection.execute(text(f"CREATE DATABASE {name}"))
    url = stores.postgres.url(name)
    await asyncio.to_thread(upgrade, url)
    return stores.settings.model_copy(
        update={
            "database_url": url,
            "calls_per_second": CALLS_PER_SECOND,
            "max_live_calls": 1000,
            "twilio_phone_number": "+15005550006",
            "pod_out_after_seconds": 3600.0,  # one beat is enough for pods that do not exist
            "live_slot_lease_seconds": 3601.0,
        }
    )


async def _pods(runtime: Runtime) -> None:
    """Pods with room, alive at this moment."""
    for number in range(10):
        name = f"pod-{number}"
        heartbeat = Heartbeat(name, "b1", f"wss://bench.test/pods/{name}", 20)
        await beat(runtime.redis, heartbeat, runtime.settings)


async def _campaign(runtime: Runtime) -> Runtime:
    """A running campaign without leads; the runtime, without hints."""
    template = await create_template(runtime, CallTemplate("bench", Agent("Ada", "Hello.", "Ask.")))
    campaign = Campaign(id=new_id(), name="bench", template_id=template.id, status="running")
    async with runtime.sessions.begin() as session:
        session.add(campaign)
    await _run(runtime, "ALTER TABLE leads SET (autovacuum_enabled = false)")
    return dataclasses.replace(runtime, hints=_NoHints(runtime.settings))


async def _fill_up(runtime: Runtime, due: int) -> None:
    """As many due leads as the phase is about: the phase before has claimed some."""
    async with runtime.sessions.begin() as session:
        known, waiting = (await session.execute(text(_COUNTS))).one()
        campaign = (await session.execute(select(Campaign))).scalar_one()
        ids = {"campaign": campaign.id, "template": campaign.template_id}
        numbers = {"first": known + 1, "last": known + due - waiting}
        await session.execute(text(_FILL), ids | numbers)
        await session.execute(text(_CONTACTS))


async def _run(runtime: Runtime, statement: str) -> None:
    async with runtime.sessions.begin() as session:
        await session.execute(text(statement))
