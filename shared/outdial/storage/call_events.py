"""Queries on call events, and on the list of those that no settling has read yet."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_events import Event, Source
from outdial.storage.tables import CallEvent, Unsettled


@dataclass(frozen=True)
class Told:
    """A fact as it was read, its number, and whether no settling has read it before."""

    number: int
    event: Event
    unread: bool


_APPEND = text("""
    WITH written AS (
        INSERT INTO call_events
            (attempt_id, source, kind, dedupe_key, call_sid, payload, occurred_at)
        VALUES (CAST(:attempt AS uuid), :source, :kind, :key, :sid, CAST(:payload AS jsonb), :at)
        ON CONFLICT DO NOTHING
        RETURNING id, attempt_id
    ), to_settle AS (
        INSERT INTO unsettled (event_id, attempt_id) SELECT id, attempt_id FROM written WHERE :loud
    ), heard AS (
        UPDATE attempts SET heard_at = clock_timestamp()
        WHERE id = CAST(:attempt AS uuid) AND :heard
    )
    SELECT id FROM written
""")


async def append(
    session: AsyncSession,
    attempt_id: uuid.UUID,
    event: Event,
    *,
    to_settle: bool = True,
    heard: bool = False,
) -> int | None:
    """Write a fact, to be settled (or not by itself); its number, or None if it was known.

    `heard`: it tells of the call just now, as `attempts.touch` notes.
    """
    number: int | None = await session.scalar(
        _APPEND,
        {
            "attempt": attempt_id,
            "source": event.source.value,
            "kind": event.kind,
            "key": event.dedupe_key,
            "sid": event.call_sid,
            "payload": json.dumps(dict(event.payload)),
            "at": event.occurred_at,
            "loud": to_settle,
            "heard": heard,
        },
    )
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


def as_event(row: CallEvent | Row[Any]) -> Event:
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


_READ = text("""
    SELECT clock_timestamp() AS now, told.id, told.source, told.kind, told.dedupe_key,
        told.call_sid, told.payload, told.occurred_at, waiting.event_id IS NOT NULL AS unread
    FROM (VALUES (1)) AS once
    LEFT JOIN call_events AS told ON told.attempt_id = :attempt
    LEFT JOIN unsettled AS waiting ON waiting.event_id = told.id
    ORDER BY told.id
""")


async def read(session: AsyncSession, attempt_id: uuid.UUID) -> tuple[list[Told], datetime]:
    """Every event of an attempt, as they arrived, and the moment by the database's clock."""
    rows = (await session.execute(_READ, {"attempt": attempt_id})).all()
    told = [Told(row.id, as_event(row), row.unread) for row in rows if row.id is not None]
    return told, rows[0].now


async def mark_settled(session: AsyncSession, event_ids: Iterable[int]) -> None:
    """Take exactly these off the list: one that came meanwhile stays on it."""
    numbers = list(event_ids)
    if numbers:
        await session.execute(_MARK_SETTLED, {"numbers": numbers})


_MARK_SETTLED = text("DELETE FROM unsettled WHERE event_id = ANY(CAST(:numbers AS bigint[]))")
