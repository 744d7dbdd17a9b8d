"""A lead's lock keeps out whoever would change the lead, and nobody who only looks at its key."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from outdial.storage import leads
from storage_world import World

pytestmark = pytest.mark.integration


async def test_a_leads_lock_lets_its_key_be_looked_at(world: World) -> None:
    new = world.lead()
    await world.insert(new)
    ask = "SELECT 1 FROM leads WHERE id = :id FOR {} NOWAIT"
    async with world.sessions.begin() as holder, world.sessions.begin() as other:
        assert await leads.lock(holder, new.id) is not None
        # As Postgres does for the foreign key of an attempt that is written twice.
        assert await other.scalar(text(ask.format("KEY SHARE")), {"id": new.id}) == 1
        with pytest.raises(OperationalError, match="could not obtain lock"):
            await other.scalar(text(ask.format("NO KEY UPDATE")), {"id": new.id})
