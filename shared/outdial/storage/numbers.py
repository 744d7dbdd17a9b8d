"""Queries on the numbers that calls can come from."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.tables import Number


async def add(session: AsyncSession, phone: str, label: str | None = None) -> bool:
    """Write a number of ours; False if it was known."""
    written = await session.scalar(
        insert(Number)
        .values(phone=phone, label=label)
        .on_conflict_do_nothing()
        .returning(Number.phone)
    )
    return written is not None


async def get(session: AsyncSession, phone: str) -> Number | None:
    """One number."""
    return await session.get(Number, phone)


async def all_numbers(session: AsyncSession) -> list[Number]:
    """Every number, those set aside too."""
    return list(await session.scalars(select(Number).order_by(Number.phone)))


async def mark_used(session: AsyncSession, used: Mapping[str, datetime]) -> None:
    """Note when calls last came from these numbers; one that nobody has listed is left out."""
    for phone, at in sorted(used.items()):  # a dispatch takes a few, always in this order
        await session.execute(update(Number).where(Number.phone == phone).values(last_used_at=at))


async def is_set_aside(session: AsyncSession, phone: str) -> bool:
    """Whether no call may come from this number."""
    status = await session.scalar(select(Number.status).where(Number.phone == phone))
    return status == "set_aside"


async def restore(session: AsyncSession, phone: str) -> bool:
    """Let calls come from a number again; False if it is not known."""
    changed = await session.scalar(
        update(Number)
        .where(Number.phone == phone)
        .values(status="active", set_aside_reason=None, set_aside_at=None)
        .returning(Number.phone)
    )
    return changed is not None


async def set_aside(session: AsyncSession, phone: str, reason: str) -> bool:
    """Let no further call come from a number; False if none did any more."""
    changed = await session.scalar(
        update(Number)
        .where(Number.phone == phone, Number.status == "active")
        .values(status="set_aside", set_aside_reason=reason, set_aside_at=func.now())
        .returning(Number.phone)
    )
    return changed is not None
