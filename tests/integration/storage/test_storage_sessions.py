"""Single statements need no transaction, and leave what was prepared as it is."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from outdial.storage.engine import Sessions

pytestmark = pytest.mark.integration

_PREPARED = text("SELECT count(*) FROM pg_prepared_statements")
_IN_TRANSACTION = text("SELECT now() <> statement_timestamp()")
_SLOWLY = text("SELECT pg_sleep(0.001)")


async def ask(sessions: Sessions) -> int:
    """Ask one question often enough that psycopg prepares it; what is prepared then."""
    for _ in range(8):
        async with sessions() as session:
            await session.execute(_SLOWLY)
    async with sessions() as session:
        return int(await session.scalar(_PREPARED) or 0)


async def test_what_was_prepared_outlasts_a_session(sessions: Sessions) -> None:
    first = await ask(sessions)
    assert first > 0
    assert await ask(sessions) >= first


async def test_only_begin_is_a_transaction(sessions: Sessions) -> None:
    async with sessions() as session:
        await session.execute(_SLOWLY)
        assert not await session.scalar(_IN_TRANSACTION)
    async with sessions.begin() as session:
        await session.execute(_SLOWLY)
        assert await session.scalar(_IN_TRANSACTION)
    async with sessions() as session:  # of the same connection
        await session.execute(_SLOWLY)
        assert not await session.scalar(_IN_TRANSACTION)


async def test_a_transaction_is_taken_back_whole(sessions: Sessions) -> None:
    add = text("INSERT INTO suppressions (phone, reason, source) VALUES (:phone, 'r', 'api')")

    async def fail() -> None:
        async with sessions.begin() as session:
            await session.execute(add, {"phone": "+12025550100"})
            await session.execute(text("SELECT 1 / 0"))

    with pytest.raises(SQLAlchemyError):
        await fail()
    async with sessions() as session:
        assert not await session.scalar(text("SELECT count(*) FROM suppressions"))
