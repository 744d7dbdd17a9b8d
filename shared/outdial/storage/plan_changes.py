"""Who changes an attempt's plan says so on a Postgres channel; pods listen there."""

import uuid
from collections.abc import AsyncIterator

from psycopg import AsyncConnection, sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.engine import database

CHANNEL = "outdial_plan"


async def announce(session: AsyncSession, attempt_id: uuid.UUID) -> None:
    """Say at commit that this attempt's plan has changed."""
    await session.execute(
        text("SELECT pg_notify(:channel, :payload)"),
        {"channel": CHANNEL, "payload": str(attempt_id)},
    )


async def listen(database_url: str) -> AsyncIterator[uuid.UUID]:
    """Attempts whose plan has changed, as it happens, on a connection of its own.

    Raises `psycopg.Error` when the connection is lost: what changed meanwhile must be read.
    """
    plain = database(database_url).set(drivername="postgresql")
    connection = await AsyncConnection.connect(
        plain.render_as_string(hide_password=False), autocommit=True, connect_timeout=5
    )
    async with connection:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        async for notification in connection.notifies():
            yield uuid.UUID(notification.payload)
