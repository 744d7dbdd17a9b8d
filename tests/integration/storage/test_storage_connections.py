"""Connections to Postgres: how many, and what becomes of those that it let go of."""

import asyncio

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from outdial.operations.runtime import Runtime
from outdial.storage import engine

pytestmark = pytest.mark.integration


async def test_none_is_opened_for_a_moment(database_url: str) -> None:
    """Each would be a process of Postgres', with every statement to plan for the first time."""
    async with engine.open_sessions(database_url, connections=2) as sessions:

        async def ask() -> int | None:
            async with sessions() as session:
                # Long enough that all ask before the first is answered.
                pid: int | None = await session.scalar(_OWN_LATER)
                return pid

        assert len(set(await asyncio.gather(*(ask() for _ in range(8))))) == 2


async def test_one_that_broke_while_nobody_used_it_is_replaced(
    runtime: Runtime, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PING_AFTER_SECONDS", 0.0)
    before = await _backend(runtime)
    _end(database_url, before)
    assert await _backend(runtime) != before


async def test_one_that_broke_a_moment_ago_fails_once(
    runtime: Runtime, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PING_AFTER_SECONDS", 3600.0)
    async with runtime.sessions() as one, runtime.sessions() as other:
        broken = [await session.scalar(_OWN) for session in (one, other)]
    for pid in broken:
        _end(database_url, pid)
    with pytest.raises(OperationalError):
        await _backend(runtime)
    assert await _backend(runtime) not in broken  # the first took the second out with it


_OWN = text("SELECT pg_backend_pid()")
_OWN_LATER = text("SELECT pg_backend_pid() FROM pg_sleep(0.1)")


async def _backend(runtime: Runtime) -> int:
    async with runtime.sessions() as session:
        return int(await session.scalar(_OWN) or 0)


def _end(database_url: str, pid: int | None) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
