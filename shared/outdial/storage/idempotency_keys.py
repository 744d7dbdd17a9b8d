"""Queries on requests that named an Idempotency-Key."""

import uuid
from datetime import timedelta

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.tables import IdempotencyKey, Json

KEPT_FOR = timedelta(days=7)


async def begin(
    session: AsyncSession, api_key_id: uuid.UUID, key: str, request_hash: str
) -> IdempotencyKey | None:
    """Take the key for a first request (None), or see what an earlier request made of it.

    In one transaction with what the request does, a second request waits here for the first; an
    entry without `status` is only seen where the first committed it on its own.
    """
    await session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.api_key_id == api_key_id,
            IdempotencyKey.key == key,
            IdempotencyKey.created_at < func.now() - KEPT_FOR,
        )
    )
    written = await session.scalar(
        insert(IdempotencyKey)
        .values(api_key_id=api_key_id, key=key, request_hash=request_hash)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    if written is not None:
        return None
    return await session.get(IdempotencyKey, (api_key_id, key), populate_existing=True)


async def finish(
    session: AsyncSession, api_key_id: uuid.UUID, key: str, status: int, body: Json
) -> None:
    """Keep the answer for the next request with this key."""
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.api_key_id == api_key_id, IdempotencyKey.key == key)
        .values(status=status, body=body)
    )


async def forget(session: AsyncSession, api_key_id: uuid.UUID, key: str) -> None:
    """Give the key back: its request failed, and may be tried again."""
    await session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.api_key_id == api_key_id, IdempotencyKey.key == key
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
