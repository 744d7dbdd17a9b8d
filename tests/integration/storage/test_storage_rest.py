"""Templates, campaigns, numbers, suppressions, keys, locks and ids."""

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from outdial.storage import api_keys, campaigns, locks, numbers, suppressions, templates
from outdial.storage.ids import new_id
from storage_world import Sessions, World

pytestmark = pytest.mark.integration


async def test_a_template_gets_a_version_only_when_it_changes(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        first = await templates.add(session, "a", {"n": 1})
        assert (await templates.add(session, "a", {"n": 1})).id == first.id
        second = await templates.add(session, "a", {"n": 2})
        back = await templates.add(session, "a", {"n": 1})
        other = await templates.add(session, "b", {"n": 1})
        assert [t.version for t in (first, second, back, other)] == [1, 2, 3, 1]
        assert await templates.latest(session, "a") is back
        assert await templates.versions(session, "a") == [back, second, first]
        assert await templates.latest_of_each(session) == [back, other]


async def test_versions_written_at_once_are_numbered_one_after_the_other(
    sessions: Sessions,
) -> None:
    async def write(n: int) -> int:
        async with sessions.begin() as session:
            return (await templates.add(session, "a", {"n": n})).version

    assert sorted(await asyncio.gather(*map(write, range(5)))) == [1, 2, 3, 4, 5]


async def test_a_campaign_moves_only_from_where_it_may(world: World) -> None:
    async with world.sessions.begin() as session:
        campaign_id = world.campaign_id
        assert not await campaigns.change_status(session, campaign_id, ["paused"], "running")
        assert await campaigns.change_status(session, campaign_id, ["running"], "paused")
        assert await campaigns.change_status(session, campaign_id, ["paused"], "running")
        assert await campaigns.change_status(session, campaign_id, ["running"], "canceled")
    async with world.sessions() as session:
        campaign = await campaigns.get(session, campaign_id)
        assert campaign is not None
        assert campaign.started_at is not None
        assert campaign.canceled_at is not None
        assert await campaigns.by_name(session, "campaign") is campaign


async def test_caller_numbers(sessions: Sessions) -> None:
    pool = ["+15005550006", "+15005550007", "+15005550008"]
    used = datetime(2026, 11, 20, 12, tzinfo=UTC)
    async with sessions.begin() as session:
        for phone in pool:
            assert await numbers.add(session, phone)
        assert not await numbers.add(session, pool[0])
        await numbers.mark_used(session, {pool[0]: used, "+15005550009": used})
        assert await numbers.set_aside(session, pool[1], "21210")
        assert not await numbers.set_aside(session, pool[1], "another reason")
        assert await numbers.is_set_aside(session, pool[1])
        assert not await numbers.is_set_aside(session, "+15005550009")
    async with sessions.begin() as session:
        rows = await numbers.all_numbers(session)
        assert [(n.phone, n.status) for n in rows] == [
            (pool[0], "active"),
            (pool[1], "set_aside"),
            (pool[2], "active"),
        ]
        assert (rows[0].last_used_at, rows[1].set_aside_reason) == (used, "21210")
        assert await numbers.restore(session, pool[1])
        assert not await numbers.restore(session, "+15005550009")
    async with sessions() as session:
        restored = await numbers.get(session, pool[1])
        assert restored is not None
        assert (restored.status, restored.set_aside_reason) == ("active", None)


async def test_suppressions(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        assert await suppressions.add(session, "+12025550100", "asked", "call")
        assert not await suppressions.add(session, "+12025550100", "again", "api")
        assert await suppressions.is_suppressed(session, "+12025550100")
        assert not await suppressions.is_suppressed(session, "+12025550101")
        both = ["+12025550100", "+12025550101"]
        assert await suppressions.among(session, both) == {"+12025550100"}
        assert [s.reason for s in await suppressions.page(session)] == ["asked"]
        assert await suppressions.remove(session, "+12025550100")
        assert not await suppressions.remove(session, "+12025550100")


async def test_a_revoked_key_opens_nothing(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        key = await api_keys.add(session, name="n", role="admin", prefix="od_1", key_hash="h")
        assert await api_keys.by_hash(session, "h") is key
        await api_keys.touch(session, key.id)
        assert await api_keys.revoke(session, key.id)
        assert not await api_keys.revoke(session, key.id)
        assert await api_keys.by_hash(session, "h") is None
        assert [k.id for k in await api_keys.all_keys(session)] == [key.id]


@pytest.mark.parametrize(
    ("held", "wanted", "waits"),
    [("+12025550100", "+12025550100", True), ("+12025550100", "+12025550101", False)],
)
async def test_a_number_is_locked_until_the_transaction_ends(
    sessions: Sessions, held: str, wanted: str, waits: bool
) -> None:
    async with sessions.begin() as first:
        await locks.lock_numbers(first, [held, held])
        async with sessions.begin() as second:
            await second.execute(text("SET LOCAL lock_timeout = '50ms'"))
            if waits:
                with pytest.raises(OperationalError):
                    await locks.lock_number(second, wanted)
            else:
                await locks.lock_number(second, wanted)
    async with sessions.begin() as after:
        await after.execute(text("SET LOCAL lock_timeout = '50ms'"))
        await locks.lock_number(after, wanted)


async def test_locks_of_different_kinds_do_not_meet(sessions: Sessions) -> None:
    async with sessions.begin() as first, sessions.begin() as second:
        await locks.lock_account(first, "x")
        await second.execute(text("SET LOCAL lock_timeout = '50ms'"))
        await locks.lock_number(second, "x")
        await locks.lock_template(second, "x")
        await locks.lock_import(second, new_id())


async def test_locking_many_numbers_in_any_order_does_not_wait_in_a_circle(
    sessions: Sessions,
) -> None:
    phones = [f"+1202555{n:04}" for n in range(200)]

    async def lock(order: int) -> None:
        async with sessions.begin() as session:
            await locks.lock_numbers(session, phones[::order])

    await asyncio.gather(*(lock(order) for order in (1, -1) * 4))


def test_ids_sort_by_when_they_were_made() -> None:
    made = [new_id() for _ in range(50_000)]
    assert all(earlier < later for earlier, later in pairwise(made))
    assert {identity.version for identity in made[:100]} == {7}
    assert {identity.variant for identity in made[:100]} == {made[0].variant}
