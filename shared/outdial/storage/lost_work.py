"""What sweeps look for: attempts and leads that stand where nobody moves them any more.

Every age is counted by the database's clock. Each query reads the few live rows and has a limit.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from outdial.domain.attempt_state import AttemptState, Plan
from outdial.domain.lead_state import DUE_STATES, LeadState
from outdial.storage.attempts import IS_LIVE, IS_OUTBOUND
from outdial.storage.tables import Attempt, Campaign, Lead

_HAS_SID = (AttemptState.INITIATED, AttemptState.RINGING, AttemptState.IN_PROGRESS)


async def database_now(session: AsyncSession) -> datetime:
    """The moment, by the clock that every lease is counted with."""
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return now


async def dials_without_answer(
    session: AsyncSession, older_than: timedelta, limit: int = 500
) -> list[uuid.UUID]:
    """Attempts whose POST was begun, and of which nothing has been heard."""
    return await _ids(
        session,
        limit,
        Attempt.state == AttemptState.DIALING,
        Attempt.call_sid.is_(None),
        _older(Attempt.intent_at, older_than),
    )


async def unknown_attempts(
    session: AsyncSession, asked_before: timedelta, limit: int = 100
) -> list[Attempt]:
    """Attempts that may be calls, and for which the carrier was not asked of late.

    Also those of which only the pod has told: the call is sure, its SID is not known.
    """
    return await _rows(
        session,
        limit,
        IS_OUTBOUND,
        Attempt.state.in_((AttemptState.UNKNOWN, *_HAS_SID)),
        Attempt.call_sid.is_(None),
        or_(Attempt.heard_at.is_(None), _older(Attempt.heard_at, asked_before)),
    )


async def silent_attempts(
    session: AsyncSession, older_than: timedelta, limit: int = 50
) -> list[Attempt]:
    """Live calls of which nothing has been heard for long."""
    return await _rows(
        session,
        limit,
        Attempt.state.in_(_HAS_SID),
        Attempt.call_sid.is_not(None),
        _older(func.coalesce(Attempt.heard_at, Attempt.intent_at), older_than),
    )


async def calls_on_pods(
    session: AsyncSession, lives: Sequence[tuple[str, str]], limit: int = 500
) -> list[Attempt]:
    """Calls that stand on these lives (pod, boot id) of pods; those of humans stand on none."""
    return await _rows(
        session,
        limit,
        Attempt.state == AttemptState.IN_PROGRESS,
        Attempt.plan != Plan.TRANSFER,
        Attempt.stop_reason.is_(None),
        Attempt.call_sid.is_not(None),
        tuple_(Attempt.pod, Attempt.boot_id).in_(lives),
    )


async def messages_on_pods(
    session: AsyncSession, quiet_for: timedelta, limit: int = 100
) -> list[Attempt]:
    """Calls on which a pod is to leave a message, quiet for so long: it may never have begun."""
    return await _rows(
        session,
        limit,
        Attempt.state == AttemptState.IN_PROGRESS,
        Attempt.plan == Plan.VOICEMAIL,
        Attempt.stop_reason.is_(None),
        Attempt.call_sid.is_not(None),
        Attempt.pod.is_not(None),
        _older(Attempt.heard_at, quiet_for),
    )


async def unclosed_attempts(
    session: AsyncSession, terminal_statuses: Sequence[str], limit: int = 500
) -> list[Attempt]:
    """Live attempts that the carrier says are over: their pod has not had its last word."""
    return await _rows(
        session,
        limit,
        Attempt.state.in_(_HAS_SID),
        Attempt.facts["carrier_status"].astext.in_(terminal_statuses),
    )


async def stopped_attempts(
    session: AsyncSession, quiet_for: timedelta, limit: int = 100
) -> list[Attempt]:
    """Live attempts that we decided to end, whose call is known, and quiet since."""
    return await _rows(
        session,
        limit,
        Attempt.stop_reason.is_not(None),
        Attempt.call_sid.is_not(None),
        _older(func.coalesce(Attempt.heard_at, Attempt.intent_at), quiet_for),
    )


async def unplaced_attempts(
    session: AsyncSession, hinted_before: timedelta, limit: int = 200
) -> list[tuple[uuid.UUID, datetime | None]]:
    """Queued attempts, and when their hint was last sent, if that is long ago."""
    rows = await session.execute(
        select(Attempt.id, Attempt.hinted_at)
        .where(
            Attempt.state == AttemptState.QUEUED,
            Attempt.claim_expires_at > func.clock_timestamp(),
            or_(Attempt.hinted_at.is_(None), _older(Attempt.hinted_at, hinted_before)),
        )
        .order_by(Attempt.queued_at)
        .limit(limit)
    )
    return list(rows.tuples())


async def leads_of_ended_attempts(session: AsyncSession, limit: int = 100) -> list[uuid.UUID]:
    """Ended attempts that their lead still takes for its live one."""
    return list(
        await session.scalars(
            select(Attempt.id)
            .join(Lead, Lead.live_attempt_id == Attempt.id)
            .where(Lead.state == LeadState.ACTIVE, Attempt.state == AttemptState.ENDED)
            .limit(limit)
        )
    )


async def finish_leads_of_canceled_campaigns(session: AsyncSession, limit: int = 500) -> int:
    """Finish leads that came to wait in a campaign while it was canceled; how many."""
    waiting = (
        select(Lead.id)
        .join(Campaign, Campaign.id == Lead.campaign_id)
        .where(Campaign.status == "canceled", Lead.state.in_(sorted(DUE_STATES)))
        .limit(limit)
        .with_for_update(skip_locked=True, of=Lead)
    )
    return await _finish_waiting(session, waiting, "canceled")


async def finish_expired_leads(session: AsyncSession, limit: int = 500) -> int:
    """Finish leads whose last moment has passed while they wait, wherever they do; how many."""
    waiting = (
        select(Lead.id)
        .where(Lead.expires_at <= func.clock_timestamp(), Lead.state.in_(sorted(DUE_STATES)))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return await _finish_waiting(session, waiting, "expired")


async def _finish_waiting(session: AsyncSession, waiting: Select[uuid.UUID], outcome: str) -> int:
    rows = await session.execute(
        update(Lead)
        .where(Lead.id.in_(waiting), Lead.state.in_(sorted(DUE_STATES)))
        .values(
            state=LeadState.FINISHED,
            outcome=outcome,
            next_attempt_at=None,
            finished_at=func.now(),
            version=Lead.version + 1,
        )
        .returning(Lead.id)
        .execution_options(synchronize_session=False)
    )
    return len(rows.all())


def _older(
    moment: "InstrumentedAttribute[datetime | None] | ColumnElement[datetime]", age: timedelta
) -> ColumnElement[bool]:
    return moment < func.clock_timestamp() - age


async def _ids(
    session: AsyncSession, limit: int, *conditions: ColumnElement[bool]
) -> list[uuid.UUID]:
    return list(
        await session.scalars(
            select(Attempt.id).where(IS_OUTBOUND, IS_LIVE, *conditions).limit(limit)
        )
    )


async def _rows(
    session: AsyncSession, limit: int, *conditions: ColumnElement[bool]
) -> list[Attempt]:
    return list(
        await session.scalars(
            select(Attempt).where(IS_LIVE, *conditions).order_by(Attempt.queued_at).limit(limit)
        )
    )
