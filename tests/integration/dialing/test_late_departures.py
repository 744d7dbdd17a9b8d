"""Whoever is late for his departure waits until the pace has room for him, or does not call."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway

from dialing_world import World
from outdial.operations import place_attempt
from outdial.operations.runtime import Runtime
from outdial.queueing.dial_tokens import count_departure

pytestmark = pytest.mark.integration

ACCOUNT = "AC-late"


async def test_a_second_and_ten_seconds_hold_what_the_limit_allows(runtime: Runtime) -> None:
    """Twelve ask at once, and again as often as they are told to wait, at a limit of 5."""

    async def one() -> None:
        for _ in range(50):
            wait = await count_departure(runtime.redis, ACCOUNT, 5)
            if not wait:
                return
            await asyncio.sleep(wait)

    await asyncio.gather(*(one() for _ in range(12)))
    departed = await runtime.redis.lrange(f"outdial:departed:{ACCOUNT}", 0, -1)
    moments = [float(one) / 1000 for one in departed]
    assert len(moments) == 12
    assert max(sum(1 for b in moments if a <= b < a + 1) for a in moments) == 5


async def test_ten_seconds_have_no_room_for_one_more(runtime: Runtime) -> None:
    seconds, microseconds = await runtime.redis.time()
    now = seconds * 1000 + microseconds / 1000
    await runtime.redis.rpush(f"outdial:departed:{ACCOUNT}", *(now - 1500 - n for n in range(50)))
    wait = await count_departure(runtime.redis, ACCOUNT, 5)
    assert 8 < wait < 8.6
    assert await count_departure(runtime.redis, ACCOUNT, 6) == 0


@pytest.mark.parametrize("rate", [0.05, 0.5, 1.0, 2.5])
async def test_a_slow_pace_still_departs(runtime: Runtime, rate: float) -> None:
    assert await count_departure(runtime.redis, ACCOUNT, rate) == 0
    assert await count_departure(runtime.redis, "AC-other", rate) == 0
    assert (await count_departure(runtime.redis, ACCOUNT, rate) > 0) == (rate <= 1)


@pytest.mark.parametrize("rate", [0.15, 0.25, 0.3, 1.0, 1.1, 1.25, 1.5, 2.5, 7.3, 30.0])
async def test_who_is_on_time_never_waits(runtime: Runtime, rate: float) -> None:
    """Eleven seconds of departures at the pace that is given out, and one more on time."""
    seconds, microseconds = await runtime.redis.time()
    now = seconds * 1000 + microseconds / 1000
    before = [now - number * 1010 / rate for number in range(1, int(11 * rate) + 2)]
    await runtime.redis.rpush(f"outdial:departed:{ACCOUNT}", *before)
    assert await count_departure(runtime.redis, ACCOUNT, rate) == 0


@pytest.mark.parametrize(
    ("rooms", "posts", "end_reason"),
    [
        pytest.param([0.2, 0.1, 0.0], 1, None, id="room-soon"),
        pytest.param([0.2, 5.0], 0, "not_sent", id="room-too-late"),
        pytest.param([0.2], 0, "not_sent", id="no-redis"),
    ],
)
async def test_a_call_leaves_when_there_is_room_or_not_at_all(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    rooms: list[float],
    posts: int,
    end_reason: str | None,
) -> None:
    async def room(redis: Redis, account: str, rate: float) -> float:
        if not rooms:
            raise RedisAway("away")
        return rooms.pop(0)

    monkeypatch.setattr(place_attempt, "count_departure", room)
    attempt = await world.claim(await world.add_lead())
    await world.place(attempt.id)
    row = await world.attempt(attempt.id)
    assert (len(world.carrier.posts), row.end_reason, rooms) == (posts, end_reason, [])
    assert row.spent is (False if end_reason else None)
