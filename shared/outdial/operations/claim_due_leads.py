"""Claim due leads: attempt, contact, caller number and slot, before anybody is dialed (PROTOCOL 2).

One claim at a time in an account, so that limits hold. A lead that may not be dialed now is told
why and when to look again, in the same transaction, so that it never blocks the head of the queue.
"""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.fair_shares import Wish, fair_shares
from outdial.observability import traces
from outdial.observability.metrics import CLAIMED, DISPATCH_SECONDS, REFUSED
from outdial.operations.caller_number import CallerPool
from outdial.operations.claim_round import Claim, ClaimRound
from outdial.operations.closed_campaigns import close_for_the_night
from outdial.operations.pace import attempts_ahead, chunk_size, lookups_ahead
from outdial.operations.rebuild_reservations import rebuild_reservations
from outdial.operations.runtime import Runtime
from outdial.routing.slot_reservation import free_slots, release
from outdial.storage import attempts, campaigns, leads, locks, lookups
from outdial.storage.lost_work import database_now
from outdial.storage.tables import Campaign

_log = structlog.get_logger(__name__)

MOST_ROUNDS = 20
"""Bounds one dispatch: so many looks at the campaigns, each at some leads of each."""


@dataclass
class DispatchReport:
    """What one dispatch did."""

    claimed: list[uuid.UUID] = field(default_factory=list)  # attempts
    refused: dict[str, int] = field(default_factory=dict)  # reason to count
    finished: int = 0  # leads that expired, or whose numbers are all suppressed
    busy: bool = False  # somebody else claims at this moment
    spans: list[traces.Span] = field(default_factory=list)  # of the claims


async def dispatch(runtime: Runtime) -> DispatchReport:
    """Claim as many due leads as pace, limits and free slots allow, and have them dialed.

    Raises:
        redis.RedisError: Redis is away: nobody knows what room there is, so nobody is called.

    """
    with DISPATCH_SECONDS.time():
        slots = await _free_slots(runtime)
        report = DispatchReport()
        leftover: list[uuid.UUID] = []
        try:
            async with runtime.sessions.begin() as session:
                account = runtime.settings.twilio_account_sid
                if not await locks.try_lock_account(session, account):
                    return DispatchReport(busy=True)
                leftover = await _claim(runtime, session, slots, report)
        finally:
            for attempt_id in leftover:
                await release(runtime.redis, attempt_id)
    _publish(runtime, report)
    return report


async def _free_slots(runtime: Runtime) -> int | None:
    """Room on the pods; None where none is needed."""
    if runtime.settings.routing == "static":
        return None
    await rebuild_reservations(runtime)
    return await free_slots(runtime.redis)


async def _claim(
    runtime: Runtime, session: AsyncSession, slots: int | None, report: DispatchReport
) -> list[uuid.UUID]:
    """Rounds over the campaigns until there is no room, no lead, or no patience.

    Slots that were reserved for attempts which were then not written are answered.
    """
    live = await attempts.count_live(session)
    # A slow system of one campaign's must not keep the others from the pace.
    asking = min(await lookups.count_awaiting(session), lookups_ahead(runtime.settings))
    room = min(
        attempts_ahead(runtime.settings) - (await attempts.count_queued(session) - asking),
        runtime.settings.max_live_calls - sum(live.values()),
        *([] if slots is None else [slots]),
    )
    callers = await CallerPool.read(session, runtime.settings)
    claim_round = ClaimRound(runtime, session, await database_now(session), live, callers)
    waiting = await campaigns.with_due_leads(session) if room > 0 else []
    waiting = await close_for_the_night(session, waiting, claim_round.now)
    random.shuffle(waiting)  # where all have as many calls, nobody is always first
    for _ in range(MOST_ROUNDS):
        if room <= 0 or not waiting:
            break
        claims, waiting = await _one_round(claim_round, waiting, room)
        room = 0 if claim_round.out_of_slots else room - len(claims)
        kept = await _write(session, claim_round, claims)
        report.claimed += [claim.attempt_id for claim in kept]
        report.spans += [claim.span for claim in kept]
    await callers.write(session)
    report.refused, report.finished = dict(claim_round.refused), claim_round.finished
    return claim_round.leftover


async def _one_round(
    claim_round: ClaimRound, waiting: Sequence[Campaign], room: int
) -> tuple[list[Claim], list[Campaign]]:
    """Each campaign's share claimed; and the campaigns that may have more leads."""
    wishes = {
        campaign.id: Wish(claim_round.live.get(campaign.id, 0), claim_round.room_in(campaign))
        for campaign in waiting
    }
    shares = fair_shares(room, wishes)
    claims: list[Claim] = []
    more: list[Campaign] = []
    for campaign in waiting:
        if not shares[campaign.id]:
            more += [campaign] if wishes[campaign.id].room else []
            continue
        found, exhausted = await claim_round.claim(campaign, shares[campaign.id])
        claims += found
        if not exhausted:
            more.append(campaign)
        if claim_round.out_of_slots:
            break
    return claims, more


async def _write(
    session: AsyncSession, claim_round: ClaimRound, claims: list[Claim]
) -> list[Claim]:
    """Attempts, then leads. One whose lead, number or branch is taken is left out."""
    written = await attempts.insert_queued(session, [claim.row for claim in claims])
    kept = [claim for claim in claims if claim.attempt_id in written]
    if kept:
        await leads.activate_all(session, {claim.lead_id: claim.attempt_id for claim in kept})
    for claim in claims:
        if claim.attempt_id not in written:
            await claim_round.lost_race(claim)
    return kept


def _publish(runtime: Runtime, report: DispatchReport) -> None:
    """After the commit. A hint that is lost is sent again by a sweep."""
    for reason, count in report.refused.items():
        REFUSED.labels(reason).inc(count)
    if not report.claimed:
        return
    CLAIMED.inc(len(report.claimed))
    for span in report.spans:
        span.end()
    size = chunk_size(runtime.settings)
    for start in range(0, len(report.claimed), size):
        runtime.hints.place(report.claimed[start : start + size])
    _log.info("claimed", attempts=len(report.claimed), refused=report.refused or None)
