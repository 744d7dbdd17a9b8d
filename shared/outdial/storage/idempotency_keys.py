"""Queries on requests that named an Idempotency-Key."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.tables import IdempotencyKey, Json

KEPT_FOR = timedelta(days=7)


async def claim(
    session: AsyncSession, owner: uuid.UUID, key: str, request_hash: str, lease: timedelta
) -> tuple[IdempotencyKey, bool]:
    """What is known of this key, and whether the caller is to do the work.

    It is for the first request that names the key, and again once the lease of a request without
    an answer has run out: its process died. `created_at` stays that of the first.
    """
    await session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.api_key_id == owner,
            IdempotencyKey.key == key,
            IdempotencyKey.created_at < func.now() - KEPT_FOR,
        )
    )
    until = func.clock_timestamp() + lease
    written = await session.scalar(
        insert(IdempotencyKey)
        .values(api_key_id=owner, key=key, request_hash=request_hash, lease_until=until)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    mine = written is not None or await _take_over(session, owner, key, request_hash, until)
    entry = await session.get_one(IdempotencyKey, (owner, key), populate_existing=True)
    return entry, mine


async def _take_over(
    session: AsyncSession,
    owner: uuid.UUID,
    key: str,
    request_hash: str,
    until: object,
) -> bool:
    taken = await session.scalar(
        update(IdempotencyKey)
        .where(
            IdempotencyKey.api_key_id == owner,
            IdempotencyKey.key == key,
            IdempotencyKey.request_hash == request_hash,
            IdempotencyKey.status.is_(None),
            IdempotencyKey.lease_until < func.clock_timestamp(),
        )
        .values(lease_until=until)
        .returning(IdempotencyKey.key)
    )
    return taken is not None


async def renew(
    session: AsyncSession, owner: uuid.UUID, key: str, seen: datetime | None, lease: timedelta
) -> datetime | None:
    """Keep a long request's claim; its new end, or None if another request took over at `seen`."""
    until: datetime | None = await session.scalar(
        update(IdempotencyKey)
        .where(
            IdempotencyKey.api_key_id == owner,
            IdempotencyKey.key == key,
            IdempotencyKey.lease_until.is_not_distinct_from(seen),
        )
        .values(lease_until=func.clock_timestamp() + lease)
        .returning(IdempotencyKey.lease_until)
    )
    return until


async def finish(
    session: AsyncSession, owner: uuid.UUID, key: str, status: int, body: Json | None
) -> None:
    """Keep the answer for the next request with this key."""
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.api_key_id == owner, IdempotencyKey.key == key)
        .values(status=status, body=body, lease_until=None)
    )


async def reopen(session: AsyncSession, owner: uuid.UUID, key: str) -> None:
    """Let an answered request run again: its claim is free for whoever comes first."""
    await session.execute(
        update(IdempotencyKey)
        .where(
            IdempotencyKey.api_key_id == owner,
            IdempotencyKey.key == key,
            IdempotencyKey.status.is_not(None),
        )
        .values(status=None, body=None, lease_until=IdempotencyKey.created_at)
    )


async def forget(session: AsyncSession, owner: uuid.UUID, key: str) -> None:
    """Give the key back: its request was refused, and may be tried again."""
    await session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.api_key_id == owner,
            IdempotencyKey.key == key,
            IdempotencyKey.status.is_(None),
        )
    )


async def remove_old(session: AsyncSession) -> int:
    """Take away what has been kept long enough."""
    gone = await session.scalars(
        delete(IdempotencyKey)
        .where(IdempotencyKey.created_at < func.now() - KEPT_FOR)
        .returning(IdempotencyKey.key)
    )
    return len(gone.all())
