"""Queries on lookups: what an attempt asks a system of the operator's before it is dialed.

The answer is one call event; while there is none, the attempt waits.
"""

import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState
from outdial.domain.call_events import Source
from outdial.storage.tables import Attempt, CallEvent, Json, Template

KIND = "looked_up"

_WANTED: ColumnElement[bool] = (
    func.coalesce(Template.body["lookup"]["http"]["url"].as_string(), "") != ""
)
_ANSWERED = exists().where(
    CallEvent.attempt_id == Attempt.id,
    CallEvent.source == Source.DIALER,
    CallEvent.dedupe_key == KIND,
)
_AWAITING = (Attempt.state == AttemptState.QUEUED, _WANTED, ~_ANSWERED)


async def awaiting(session: AsyncSession, attempt_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these (queued) attempts may not be dialed before their lookup is answered."""
    return set(
        await session.scalars(
            select(Attempt.id)
            .join(Template, Template.id == Attempt.template_id)
            .where(Attempt.id.in_(list(attempt_ids)), *_AWAITING)
        )
    )


async def count_awaiting(session: AsyncSession) -> int:
    """How many attempts wait for the answer to their lookup."""
    return (
        await session.scalar(
            select(func.count())
            .select_from(Attempt)
            .join(Template, Template.id == Attempt.template_id)
            .where(*_AWAITING)
        )
        or 0
    )


async def values_of(session: AsyncSession, attempt_id: uuid.UUID) -> Json | None:
    """What an attempt's lookup has brought, by variable; None if none was answered."""
    payload: dict[str, Any] | None = await session.scalar(
        select(CallEvent.payload).where(
            CallEvent.attempt_id == attempt_id,
            CallEvent.source == Source.DIALER,
            CallEvent.dedupe_key == KIND,
        )
    )
    return None if payload is None else payload.get("values") or {}
