"""Queries on the numbers that nobody may call."""

import uuid
from collections.abc import Iterable, Mapping

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.one_of import is_one_of
from outdial.storage.tables import Suppression


async def add(
    session: AsyncSession,
    phone: str,
    reason: str,
    source: str,
    attempt_id: uuid.UUID | None = None,
) -> bool:
    """Suppress a number, under `locks.lock_number`; False if it was already."""
    written = await session.scalar(
        insert(Suppression)
        .values(phone=phone, reason=reason, source=source, attempt_id=attempt_id)
        .on_conflict_do_nothing()
        .returning(Suppression.phone)
    )
    return written is not None


async def add_many(session: AsyncSession, reasons: Mapping[str, str], source: str) -> set[str]:
    """Suppress numbers (each with its reason), under `locks.lock_numbers`; those that are new."""
    rows = [
        {"phone": phone, "reason": reason, "source": source}
        for phone, reason in sorted(reasons.items())
    ]
    if not rows:
        return set()
    return set(
        await session.scalars(
            insert(Suppression).values(rows).on_conflict_do_nothing().returning(Suppression.phone)
        )
    )


async def is_suppressed(session: AsyncSession, phone: str) -> bool:
    """Whether a number may not be called."""
    return await session.get(Suppression, phone) is not None


async def among(session: AsyncSession, phones: Iterable[str]) -> set[str]:
    """Which of these may not be called."""
    return set(
        await session.scalars(select(Suppression.phone).where(is_one_of(Suppression.phone, phones)))
    )


async def get(session: AsyncSession, phone: str) -> Suppression | None:
    """One suppression: why, since when, and where it was said."""
    return await session.get(Suppression, phone)


async def remove(session: AsyncSession, phone: str) -> bool:
    """Let a number be called again; False if it was not suppressed."""
    gone = await session.scalar(
        delete(Suppression).where(Suppression.phone == phone).returning(Suppression.phone)
    )
    return gone is not None


async def page(
    session: AsyncSession, *, after: str | None = None, limit: int = 100
) -> list[Suppression]:
    """A page of suppressions, by number."""
    query = select(Suppression).order_by(Suppression.phone).limit(limit)
    if after is not None:
        query = query.where(Suppression.phone > after)
    return list(await session.scalars(query))
