"""A process whose machine is lost in the middle of a transaction does not keep its locks."""

import pytest
from sqlalchemy import text

from outdial.operations.runtime import Runtime

pytestmark = pytest.mark.integration


async def test_postgres_ends_a_transaction_that_nobody_goes_on_with(runtime: Runtime) -> None:
    async with runtime.sessions() as session:
        found = await session.scalar(text("SHOW idle_in_transaction_session_timeout"))
    assert found == "5s"
