"""The way to Postgres: a pool of async sessions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

# No transaction of ours waits for the outside. One whose machine is lost keeps its locks no longer
# than this: the attempt that it was writing could not be moved to another pod, nor settled.
_IDLE_MS = 5000
CONNECT = {
    "connect_timeout": 5,
    "options": f"-c timezone=UTC -c idle_in_transaction_session_timeout={_IDLE_MS}",
}


def database(database_url: str) -> URL:
    """`database_url` for SQLAlchemy over psycopg 3, whichever driver it names."""
    return make_url(database_url).set(drivername="postgresql+psycopg")


async def connect(database_url: str) -> psycopg.AsyncConnection:
    """One connection without a pool and without the ORM, in autocommit."""
    plain = database(database_url).set(drivername="postgresql")
    return await psycopg.AsyncConnection.connect(
        plain.render_as_string(hide_password=False),
        autocommit=True,
        connect_timeout=5,
        options="-c timezone=UTC",
    )


@asynccontextmanager
async def open_sessions(
    database_url: str, pool_size: int = 10
) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """A maker of sessions over a pool that is closed on the way out. Nothing connects yet."""
    engine = create_async_engine(
        database(database_url),
        connect_args=CONNECT,
        hide_parameters=True,  # people's numbers do not go into error messages
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_size=pool_size,
        pool_timeout=10,
    )
    try:
        yield async_sessionmaker(engine, expire_on_commit=False)
    finally:
        await engine.dispose()
