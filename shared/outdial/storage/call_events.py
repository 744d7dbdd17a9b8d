"""Queries on call events, and on the list of those that no settling has read yet."""

import json
import uuid
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_events import Event, Source
from outdial.storage.tables import CallEvent, Unsettled


async def append(
    session: AsyncSession, attempt_id: uuid.UUID, event: Event, *, to_settle: bool = True
) -> int | None:
    """Write a fact, to be settled (or not by itself); its number, or None if it was known."""
    number = await session.scalar(
        insert(CallEvent)
        .values(
            attempt_id=attempt_id,
            source=event.source,
            kind=event.kind,
            dedupe_key=event.dedupe_key,
            call_sid=event.call_sid,
            payload=dict(event.payload),
            occurred_at=event.occurred_at,
        )
        .on_conflict_do_nothing()
        .returning(CallEvent.id)
    )
    if number is not None and to_settle:
        await session.execute(insert(Unsettled).values(event_id=number, attempt_id=attempt_id))
    return number


_APPEND_ALL = text("""
    WITH told AS (
        SELECT * FROM unnest(
            CAST(:attempts AS uuid[]), CAST(:sources AS text[]), CAST(:kinds AS text[]),
            CAST(:keys AS text[]), CAST(:sids AS text[]), CAST(:payloads AS jsonb[]),
            CAST(:times AS timestamptz[]), CAST(:loud AS boolean[])
        ) AS t(attempt_id, source, kind, dedupe_key, call_sid, payload, occurred_at, loud)
    ), locked AS (
        SELECT id FROM attempts
        WHERE state <> 'ended' AND (id, call_sid) IN (SELECT attempt_id, call_sid FROM told)
        ORDER BY id FOR UPDATE SKIP LOCKED
    ), written AS (
        INSERT INTO call_events
            (attempt_id, source, kind, dedupe_key, call_sid, payload, occurred_at)
        SELECT attempt_id, source, kind, dedupe_key, call_sid, payload, occurred_at
        FROM told JOIN locked ON locked.id = told.attempt_id
        ON CONFLICT DO NOTHING
        RETURNING id, attempt_id, source, dedupe_key
    ), to_settle AS (
        INSERT INTO unsettled (event_id, attempt_id)
        SELECT written.id, written.attempt_id
        FROM written JOIN told USING (attempt_id, source, dedupe_key) WHERE told.loud
        ON CONFLICT DO NOTHING
    )
    UPDATE attempts SET heard_at = clock_timestamp()
    FROM locked WHERE attempts.id = locked.id
    RETURNING attempts.id
""")


async def append_all(
    session: AsyncSession, facts: Iterable[tuple[uuid.UUID, Event, bool]]
) -> set[uuid.UUID]:
    """Write facts (attempt, event, whether to settle) of many calls; the attempts that it did.

    Left out are attempts whose row somebody holds, that are over, or that are not bound to the call
    that the fact names: those ask for a closer look, one by one.
    """
    rows = list(facts)
    written = await session.scalars(
        _APPEND_ALL,
        {
            "attempts": [attempt_id for attempt_id, _, _ in rows],
            "sources": [event.source.value for _, event, _ in rows],
            "kinds": [event.kind for _, event, _ in rows],
            "keys": [event.dedupe_key for _, event, _ in rows],
            "sids": [event.call_sid for _, event, _ in rows],
            "payloads": [json.dumps(dict(event.payload)) for _, event, _ in rows],
            "times": [event.occurred_at for _, event, _ in rows],
            "loud": [loud for _, _, loud in rows],
        },
    )
    return set(written)


async def of_attempt(session: AsyncSession, attempt_id: uuid.UUID) -> list[CallEvent]:
    """Every event of an attempt, as they arrived."""
    return list(
        await session.scalars(
            select(CallEvent).where(CallEvent.attempt_id == attempt_id).order_by(CallEvent.id)
        )
    )


def as_event(row: CallEvent) -> Event:
    """The row as the rules see it."""
    return Event(
        source=Source(row.source),
        kind=row.kind,
        dedupe_key=row.dedupe_key,
        occurred_at=row.occurred_at,
        call_sid=row.call_sid,
        payload=row.payload,
    )


async def unsettled_attempts(
    session: AsyncSession, older_than: timedelta, limit: int = 500
) -> list[uuid.UUID]:
    """Attempts with events that have waited for longer than `older_than`, the oldest first."""
    rows = await session.execute(
        select(Unsettled.attempt_id)
        .where(Unsettled.created_at < func.clock_timestamp() - older_than)
        .group_by(Unsettled.attempt_id)
        .order_by(func.min(Unsettled.event_id))
        .limit(limit)
    )
    return list(rows.scalars())


async def unsettled_of(session: AsyncSession, attempt_id: uuid.UUID) -> list[int]:
    """Numbers of the events of an attempt that no settling has read."""
    return list(
        await session.scalars(select(Unsettled.event_id).where(Unsettled.attempt_id == attempt_id))
    )


async def has_unsettled(session: AsyncSession, attempt_id: uuid.UUID) -> bool:
    """Whether an attempt has events that no settling has read."""
    found = await session.scalar(
        select(Unsettled.event_id).where(Unsettled.attempt_id == attempt_id).limit(1)
    )
    return found is not None


async def mark_settled(session: AsyncSession, event_ids: Iterable[int]) -> None:
    """Take exactly these off the list: one that came meanwhile stays on it."""
    await session.execute(delete(Unsettled).where(Unsettled.event_id.in_(list(event_ids))))
