"""A store that goes is told of once by a process, whatever that process tries meanwhile."""

from dataclasses import replace

import pytest
import structlog
from redis.asyncio import BlockingConnectionPool, Redis

from dialing_world import World
from outdial.operations.place_attempt import place_attempts
from outdial.operations.run_sweeps import run_sweeps
from outdial.operations.settle_attempt import settle_attempt
from outdial.operations.store_outages import look_for_stores, store_failed
from outdial.storage.engine import open_sessions

pytestmark = pytest.mark.integration


async def test_redis_goes_and_comes_back(world: World) -> None:
    for _ in range(6):
        await world.add_lead()
    claimed = (await world.dispatch()).claimed
    gone = Redis.from_pool(BlockingConnectionPool.from_url("redis://127.0.0.1:1/0"))
    without = replace(world.runtime, redis=gone)
    with structlog.testing.capture_logs() as lines:
        assert await place_attempts(without, claimed) == {"failed": 6}
        await run_sweeps(without)
        await look_for_stores(without)
        told = [line for line in lines if "store" in line]
        assert [(line["event"], line["store"]) for line in told] == [("store_away", "redis")]
        assert not [line for line in lines if line["log_level"] == "error" or "exc_info" in line]
        await look_for_stores(world.runtime)  # which shares what is known of outages
    assert world.carrier.posts == []
    assert (lines[-1]["event"], lines[-1]["store"]) == ("store_back", "redis")
    assert lines[-1]["failures"] > 6
    await world.full_pace()
    assert await world.place(*claimed) == {"Accepted": 6}
    await gone.aclose()


async def test_postgres_goes_and_comes_back(world: World) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    async with open_sessions(nowhere) as sessions:
        without = replace(world.runtime, sessions=sessions)
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                with pytest.raises(Exception) as failed:  # noqa: PT011 - what a driver raises
                    await settle_attempt(without, (await world.add_lead()).id)
                store_failed(without, failed.value)
            await look_for_stores(without)
    with structlog.testing.capture_logs() as back:
        await look_for_stores(world.runtime)
    assert [(line["event"], line["store"]) for line in lines] == [("store_away", "postgres")]
    assert [(line["event"], line["failures"]) for line in back] == [("store_back", 3)]
