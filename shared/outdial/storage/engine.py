"""The way to Postgres: a pool of async sessions."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

_PING_AFTER_SECONDS = 1.0
"""A connection that was used a moment ago is not asked whether it lives: at a busy moment that is a
tenth of all questions. One that broke within the moment fails who uses it, as one that breaks while
it is used does, and takes all others out of the pool with it."""

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
        pool_size=pool_size,
        pool_timeout=10,
    )
    _ping_what_was_idle(engine.sync_engine)
    try:
        yield async_sessionmaker(engine, expire_on_commit=False)
    finally:
        await engine.dispose()


def _ping_what_was_idle(engine: Engine) -> None:
    """`pool_pre_ping` for connections that nobody used for a while."""

    def note(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    def ping(connection: Any, record: Any, _fairy: Any) -> None:
        used_at = record.info.get("used_at")
        if used_at is None or time.monotonic() - used_at < _PING_AFTER_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise InvalidatePoolError("a connection broke while nobody used it") from error

    event.listen(engine, "connect", note)
    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ping)
