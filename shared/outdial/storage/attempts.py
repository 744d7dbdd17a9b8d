"""Queries on attempts. What moves one is a compare-and-set: the loser sees False."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, any_, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, UUID, insert
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState, Plan, StopReason
from outdial.storage.one_of import is_one_of
from outdial.storage.row_locks import locking
from outdial.storage.tables import Attempt

IS_LIVE = Attempt.state != AttemptState.ENDED
IS_OUTBOUND = Attempt.direction == "outbound"


async def insert_queued(
    session: AsyncSession, attempts: Iterable[dict[str, object]]
) -> set[uuid.UUID]:
    """Write claimed attempts (column to value, `id` and `phone` among them); ids of those written.

    One whose lead, number or branch has a live attempt is left out. Ordered by number, so that two
    claims at once do not wait for each other in a circle.
    """
    rows = sorted(attempts, key=lambda row: str(row["phone"]))
    if not rows:
        return set()
    written = await session.scalars(
        # Rows as parameters: in `values()` the statement would be compiled anew each time.
        insert(Attempt).on_conflict_do_nothing().returning(Attempt.id),
        rows,
    )
    return set(written)


async def get(session: AsyncSession, attempt_id: uuid.UUID) -> Attempt | None:
    """One attempt."""
    return await session.get(Attempt, attempt_id)


async def many(session: AsyncSession, attempt_ids: Iterable[uuid.UUID]) -> list[Attempt]:
    """These attempts, read afresh."""
    return list(
        await session.scalars(
            select(Attempt)
            .where(Attempt.id.in_(list(attempt_ids)))
            .execution_options(populate_existing=True)
        )
    )


async def standings(
    session: AsyncSession, attempt_ids: Iterable[uuid.UUID]
) -> Sequence[tuple[uuid.UUID, str, int, str | None, str]]:
    """Of each of these attempts: id, plan, stream_no, stop_reason, state.

    A pod asks for all of its calls each second, between their sounds: so few columns, and one
    statement however many they are.
    """
    rows = await session.execute(_STANDINGS, {"ids": list(attempt_ids)})
    return rows.tuples().all()


_STANDINGS = select(
    Attempt.id, Attempt.plan, Attempt.stream_no, Attempt.stop_reason, Attempt.state
).where(Attempt.id == any_(bindparam("ids", type_=ARRAY(UUID(as_uuid=True)))))


async def lock(session: AsyncSession, attempt_id: uuid.UUID) -> Attempt | None:
    """One attempt, locked until the transaction ends and read afresh."""
    locked: Attempt | None = await session.scalar(_LOCK, {"id": attempt_id})
    return locked


_LOCK = locking(Attempt)


async def of_lead(session: AsyncSession, lead_id: uuid.UUID) -> list[Attempt]:
    """Every attempt of a lead, the oldest first."""
    return list(await session.scalars(_OF_LEAD, {"lead": lead_id}))


_OF_LEAD = (
    select(Attempt)
    .where(Attempt.lead_id == bindparam("lead"))
    .order_by(Attempt.queued_at, Attempt.id)
)


async def lock_live_of_number(session: AsyncSession, *phones: str) -> list[Attempt]:
    """The live outbound attempts to a number (one, or none) or to several, locked."""
    return list(
        await session.scalars(
            select(Attempt)
            .where(Attempt.phone.in_(phones), IS_OUTBOUND, IS_LIVE)
            .order_by(Attempt.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


async def lock_live_of_campaign(session: AsyncSession, campaign_id: uuid.UUID) -> list[Attempt]:
    """The live attempts of a campaign, locked in the order of their ids."""
    return list(
        await session.scalars(
            select(Attempt)
            .where(Attempt.campaign_id == campaign_id, IS_OUTBOUND, IS_LIVE)
            .order_by(Attempt.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


async def live(session: AsyncSession, *, campaign_id: uuid.UUID | None = None) -> list[Attempt]:
    """Every live attempt, of one campaign or of all."""
    query = select(Attempt).where(IS_LIVE)
    if campaign_id is not None:
        query = query.where(Attempt.campaign_id == campaign_id)
    return list(await session.scalars(query))


async def count_live(session: AsyncSession) -> dict[uuid.UUID | None, int]:
    """How many calls are live in each campaign (None: inbound ones that belong to none)."""
    rows = await session.execute(
        select(Attempt.campaign_id, func.count()).where(IS_LIVE).group_by(Attempt.campaign_id)
    )
    return dict(rows.tuples().all())


async def count_live_by_caller(session: AsyncSession) -> dict[str, int]:
    """How many calls are live from each number of ours."""
    rows = await session.execute(
        select(Attempt.caller_number, func.count())
        .where(IS_LIVE, IS_OUTBOUND)
        .group_by(Attempt.caller_number)
    )
    return dict(rows.tuples().all())


async def live_phones(session: AsyncSession, phones: Iterable[str]) -> set[str]:
    """Which of these numbers have a live call, in either direction."""
    return set(
        await session.scalars(
            select(Attempt.phone).where(IS_LIVE, is_one_of(Attempt.phone, phones))
        )
    )


async def live_branches(session: AsyncSession, branch_keys: Iterable[str]) -> set[str]:
    """Which of these branches have a live call."""
    rows = await session.scalars(
        select(Attempt.branch_key).where(
            IS_LIVE, IS_OUTBOUND, Attempt.branch_key.in_(list(branch_keys))
        )
    )
    return {branch_key for branch_key in rows if branch_key is not None}


async def by_sid(session: AsyncSession, call_sid: str) -> uuid.UUID | None:
    """The attempt that a call of the carrier's is bound to."""
    found: uuid.UUID | None = await session.scalar(
        select(Attempt.id).where(Attempt.call_sid == call_sid)
    )
    return found


async def bound_sids(session: AsyncSession, call_sids: Iterable[str]) -> set[str]:
    """Which of these calls belong to an attempt."""
    rows = await session.scalars(
        select(Attempt.call_sid).where(Attempt.call_sid.in_(list(call_sids)))
    )
    return {call_sid for call_sid in rows if call_sid is not None}


def hear(attempt: Attempt) -> None:
    """Note that we heard of this call just now; written with whatever else changes of its row."""
    attempt.heard_at = func.clock_timestamp()


async def touch(session: AsyncSession, attempt_ids: Iterable[uuid.UUID]) -> None:
    """Note that we heard of these calls just now."""
    await session.execute(_TOUCH, {"attempts": list(attempt_ids)})


_TOUCH = text(
    "UPDATE attempts SET heard_at = clock_timestamp() WHERE id = ANY(CAST(:attempts AS uuid[]))"
)


async def count_queued(session: AsyncSession) -> int:
    """How many attempts wait for a dial token."""
    return (
        await session.scalar(
            select(func.count()).select_from(Attempt).where(Attempt.state == AttemptState.QUEUED)
        )
        or 0
    )


async def in_states(
    session: AsyncSession, states: Sequence[AttemptState], *, limit: int = 1000
) -> list[Attempt]:
    """Attempts in these (live) states, the oldest first."""
    return list(
        await session.scalars(
            select(Attempt)
            .where(Attempt.state.in_(states), IS_LIVE)
            .order_by(Attempt.queued_at)
            .limit(limit)
        )
    )


async def expired_claims(session: AsyncSession, limit: int = 1000) -> list[uuid.UUID]:
    """Queued attempts whose claim ran out, by the database's clock."""
    return list(
        await session.scalars(
            select(Attempt.id)
            .where(
                Attempt.state == AttemptState.QUEUED,
                Attempt.claim_expires_at < func.clock_timestamp(),
            )
            .limit(limit)
        )
    )


async def mark_hinted(session: AsyncSession, attempt_id: uuid.UUID, seen: datetime | None) -> bool:
    """Take the right to publish a queued attempt again; `seen` is its `hinted_at` as read."""
    return await _change(
        session,
        attempt_id,
        Attempt.state == AttemptState.QUEUED,
        Attempt.hinted_at.is_not_distinct_from(seen),
        hinted_at=func.clock_timestamp(),
    )


async def begin_dialing(
    session: AsyncSession,
    attempt_id: uuid.UUID,
    pod: str | None = None,
    boot_id: str | None = None,
) -> bool:
    """`queued → dialing`, with the moment of intent: exactly one caller ever sees True.

    `pod`, in this life of it, is meant to speak.
    """
    values = {"attempt": attempt_id, "pod_id": pod, "boot": boot_id}
    return await session.scalar(_BEGIN_DIALING, values) is not None


_BEGIN_DIALING = text(
    "UPDATE attempts SET state = 'dialing', intent_at = clock_timestamp(), "
    "claim_expires_at = NULL, pod = :pod_id, boot_id = :boot "
    "WHERE id = :attempt AND state = 'queued' AND stop_reason IS NULL RETURNING id"
)


async def bind_sid(session: AsyncSession, attempt_id: uuid.UUID, call_sid: str) -> bool:
    """Bind the carrier's call; True also if this very call is bound already."""
    return await _change(
        session,
        attempt_id,
        Attempt.call_sid.is_(None) | (Attempt.call_sid == call_sid),
        call_sid=call_sid,
        heard_at=func.clock_timestamp(),
    )


async def change_plan(
    session: AsyncSession, attempt_id: uuid.UUID, current: Plan, to: Plan
) -> bool:
    """Commit what the call does next; one winner, and only while it is live."""
    return await _change(session, attempt_id, IS_LIVE, Attempt.plan == current, plan=to)


async def next_stream(session: AsyncSession, attempt_id: uuid.UUID, stream_no: int) -> bool:
    """Go from stream `stream_no` to the one after it; one winner for each."""
    return await _change(
        session, attempt_id, IS_LIVE, Attempt.stream_no == stream_no, stream_no=stream_no + 1
    )


async def take_back(session: AsyncSession, attempt_id: uuid.UUID, stream_no: int) -> bool:
    """From a dial to a human that is over back to the conversation, on the next stream."""
    return await _change(
        session,
        attempt_id,
        IS_LIVE,
        Attempt.plan == Plan.TRANSFER,
        Attempt.stream_no == stream_no,
        plan=Plan.CONVERSATION,
        stream_no=stream_no + 1,
    )


async def assign_pod(session: AsyncSession, attempt_id: uuid.UUID, pod: str, boot_id: str) -> bool:
    """Write which pod, in which life of it, speaks on a live attempt."""
    return await _change(session, attempt_id, IS_LIVE, pod=pod, boot_id=boot_id)


async def leave_pod(
    session: AsyncSession, attempt_id: uuid.UUID, stream_no: int, pod: str | None
) -> bool:
    """Write that no pod speaks on a live attempt: it is on hold. False if it went on meanwhile."""
    return await _change(
        session,
        attempt_id,
        IS_LIVE,
        Attempt.stream_no == stream_no,
        Attempt.pod.is_not_distinct_from(pod),
        pod=None,
        boot_id=None,
    )


async def cut(session: AsyncSession, attempt_id: uuid.UUID, reason: StopReason) -> bool:
    """Write that we end a live attempt at once, and why; the first reason stays."""
    return await _change(
        session,
        attempt_id,
        IS_LIVE,
        plan=Plan.HANGUP,
        stop_reason=func.coalesce(Attempt.stop_reason, reason),
    )


async def _change(
    session: AsyncSession, attempt_id: uuid.UUID, *conditions: ColumnElement[bool], **values: object
) -> bool:
    changed = await session.scalar(
        update(Attempt)
        .where(Attempt.id == attempt_id, *conditions)
        .values(**values)
        .returning(Attempt.id)
    )
    return changed is not None


async def page(
    session: AsyncSession,
    *,
    before: uuid.UUID | None = None,
    limit: int = 100,
    campaign_id: uuid.UUID | None = None,
    only_live: bool = False,
) -> list[Attempt]:
    """A page of attempts, the newest first."""
    query = select(Attempt).order_by(Attempt.id.desc()).limit(limit)
    if only_live:
        query = query.where(IS_LIVE)
    if before is not None:
        query = query.where(Attempt.id < before)
    if campaign_id is not None:
        query = query.where(Attempt.campaign_id == campaign_id)
    return list(await session.scalars(query))
