"""The way to Postgres: a pool of async sessions."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

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


_Maker = async_sessionmaker[AsyncSession]


class Sessions:
    """Sessions over one pool: called, for single statements; `begin()`, for a transaction.

    Questions need no transaction: in READ COMMITTED each statement sees what was committed when it
    began, anyway. One would cost a BEGIN and a ROLLBACK, and on a ROLLBACK psycopg forgets whatever
    it had prepared on the connection: Postgres then parses and plans everything anew.
    """

    def __init__(self, engine: AsyncEngine, **how: Any) -> None:
        """`how`: what else `async_sessionmaker` takes."""
        self.engine = engine
        single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._single: _Maker = async_sessionmaker(single, expire_on_commit=False, **how)
        self._transaction: _Maker = async_sessionmaker(engine, expire_on_commit=False, **how)

    def __call__(self) -> AsyncSession:
        """Each statement is committed by itself, and no lock outlasts its statement."""
        return self._single()

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        """One transaction, committed at the end of the block, or rolled back if that raises."""
        return self._transaction.begin()


@asynccontextmanager
async def open_sessions(database_url: str, connections: int = 10) -> AsyncIterator[Sessions]:
    """Sessions over a pool that is closed on the way out. Nothing connects yet.

    `connections`: the most it opens, and keeps. Who finds none free waits: one opened for a moment
    costs Postgres a process, and every statement on it is parsed and planned for the first time.
    """
    engine = create_async_engine(
        database(database_url),
        connect_args=CONNECT,
        hide_parameters=True,  # people's numbers do not go into error messages
        pool_size=connections,
        max_overflow=0,
        pool_timeout=10,
        pool_use_lifo=True,  # the one used last has its statements prepared
    )
    _ping_what_was_idle(engine.sync_engine)
    try:
        yield Sessions(engine)
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
