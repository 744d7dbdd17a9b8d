"""Queries on recordings at the carrier."""

import uuid

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.tables import Recording


async def save(
    session: AsyncSession,
    attempt_id: uuid.UUID,
    recording_sid: str,
    *,
    url: str,
    status: str,
    channels: int | None = None,
    duration_seconds: int | None = None,
) -> None:
    """Write what a recording callback said; one that is complete stays so."""
    values = {
        "url": url,
        "status": status,
        "channels": channels,
        "duration_seconds": duration_seconds,
    }
    await session.execute(
        insert(Recording)
        .values(recording_sid=recording_sid, attempt_id=attempt_id, **values)
        .on_conflict_do_update(
            index_elements=[Recording.recording_sid],
            set_=values,
            where=Recording.status != "completed",
        )
    )


async def of_attempt(session: AsyncSession, attempt_id: uuid.UUID) -> list[Recording]:
    """The recordings of a call, the oldest first."""
    return list(
        await session.scalars(
            select(Recording)
            .where(Recording.attempt_id == attempt_id)
            .order_by(Recording.created_at)
        )
    )
