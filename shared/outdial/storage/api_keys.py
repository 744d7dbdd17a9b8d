"""Queries on the keys of the REST API. A key is told apart by its hash; nobody keeps the key."""

import uuid
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.tables import ApiKey


async def add(session: AsyncSession, *, name: str, role: str, prefix: str, key_hash: str) -> ApiKey:
    """Write a key."""
    key = ApiKey(name=name, role=role, prefix=prefix, key_hash=key_hash)
    session.add(key)
    await session.flush()
    return key


async def by_hash(session: AsyncSession, key_hash: str) -> ApiKey | None:
    """The key with this hash, unless it was revoked."""
    found: ApiKey | None = await session.scalar(
        select(ApiKey).where(ApiKey.key_hash == key_hash, ApiKey.revoked_at.is_(None))
    )
    return found


async def touch(session: AsyncSession, key_id: uuid.UUID) -> None:
    """Write that a key was used; once a minute is enough to know."""
    minute_ago = func.now() - timedelta(minutes=1)
    await session.execute(
        update(ApiKey)
        .where(
            ApiKey.id == key_id,
            ApiKey.last_used_at.is_(None) | (ApiKey.last_used_at < minute_ago),
        )
        .values(last_used_at=func.now())
    )


async def all_keys(session: AsyncSession) -> list[ApiKey]:
    """Every key, the revoked too, in the order in which they were made."""
    return list(await session.scalars(select(ApiKey).order_by(ApiKey.id)))


async def revoke(session: AsyncSession, key_id: uuid.UUID) -> bool:
    """End a key; False if there is none, or it was ended before."""
    revoked = await session.scalar(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey.id)
    )
    return revoked is not None
