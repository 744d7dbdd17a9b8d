"""Whoever is late for his departure waits until the pace has room for him, or does not call."""

import asyncio
import time
from collections.abc import Iterable
from itertools import count

import pytest
from redis.exceptions import ConnectionError as RedisAway

from dialing_world import World
from outdial.operations import counted_departure
from outdial.operations.counted_departure import CountedDeparture
from outdial.operations.runtime import Runtime
from outdial.queueing.dial_tokens import count_as_late, count_departure

pytestmark = pytest.mark.integration

ACCOUNT = "AC-late"
KEY = f"outdial:departures:{ACCOUNT}"

_names = (f"call-{number}" for number in count())


async def waits(runtime: Runtime, rate: float, account: str = ACCOUNT) -> float:
    """How long a call waits that is counted now."""
    wait = await count_departure(runtime.redis, account, rate, next(_names))
    assert wait is not None
    return wait


async def departures(runtime: Runtime) -> list[float]:
    """Those that are counted, in seconds, the earliest first."""
    return [at / 1000 for _, at in await runtime.redis.zrange(KEY, 0, -1, withscores=True)]


async def were(runtime: Runtime, ago_ms: Iterable[float]) -> None:
    """Calls that departed so long ago."""
    seconds, microseconds = await runtime.redis.time()
    now = seconds * 1000 + microseconds / 1000
    await runtime.redis.zadd(KEY, {next(_names): now - ago for ago in ago_ms})


async def test_a_second_and_ten_seconds_hold_what_the_limit_allows(runtime: Runtime) -> None:
    """Seventy who are late all at once, at a limit of 5."""
    await asyncio.gather(*(waits(runtime, 5) for _ in range(70)))
    moments = await departures(runtime)
    assert len(moments) == 50, "no more are needed to know"
    assert moments == sorted(moments)
    for most, window in ((2, 0.1), (5, 1.0), (6, 1.1), (50, 10.1)):
        assert max(sum(a <= b < a + window - 1e-6 for b in moments) for a in moments) <= most


async def test_ten_seconds_have_no_room_for_one_more(runtime: Runtime) -> None:
    await were(runtime, (1500 + n for n in range(50)))
    assert 8 < await waits(runtime, 5) < 8.61
    assert await count_departure(runtime.redis, ACCOUNT, 5, "one more", longest=2) is None
    assert len(await departures(runtime)) == 50, "who does not depart is not counted"


@pytest.mark.parametrize("rate", [0.05, 0.5, 1.0, 2.5])
async def test_a_slow_pace_still_departs(runtime: Runtime, rate: float) -> None:
    assert await waits(runtime, rate) == 0
    assert await waits(runtime, rate, "AC-other") == 0
    assert (await waits(runtime, rate) > 0.5) == (rate <= 1)


@pytest.mark.parametrize("rate", [0.15, 0.25, 0.3, 1.0, 1.1, 1.25, 1.5, 2.5, 7.3, 30.0, 100.0])
async def test_who_is_on_time_never_waits(runtime: Runtime, rate: float) -> None:
    """Eleven seconds of departures at the pace that is given out, and one more on time."""
    await were(runtime, (number * 1012 / rate for number in range(1, int(11 * rate) + 2)))
    assert await waits(runtime, rate) == 0


async def test_one_who_is_late_leaves_between_two_who_are_on_time(runtime: Runtime) -> None:
    await were(runtime, (number * 1012 / 30 for number in range(1, 300) if number != 3))
    assert await waits(runtime, 30) == 0
    assert 0.005 < await waits(runtime, 30) < 0.018


async def test_a_moment_that_was_missed_is_given_back(runtime: Runtime) -> None:
    first = await count_departure(runtime.redis, ACCOUNT, 1, "one", ahead=0.5)
    assert first == pytest.approx(0.5, abs=0.01)
    assert await count_departure(runtime.redis, ACCOUNT, 1, "one", ahead=-0.1) == 0
    assert len(await departures(runtime)) == 1


async def test_calls_keep_their_distance_from_one_that_left_late(runtime: Runtime) -> None:
    """A second after it, and not after the moment that it was counted for."""
    assert await count_departure(runtime.redis, ACCOUNT, 1, "late", ahead=0.2) is not None
    (counted,) = await departures(runtime)
    await count_as_late(runtime.redis, ACCOUNT, "late", 0.3)
    left, following = counted + 0.3, await waits(runtime, 1)
    assert await departures(runtime) == pytest.approx([left, left + 1], abs=0.01)
    assert following > 1.3


async def test_a_call_that_is_counted_no_longer_is_not_begun_anew(runtime: Runtime) -> None:
    await count_as_late(runtime.redis, ACCOUNT, "long ago", 0.3)
    assert await departures(runtime) == []


async def test_who_says_that_it_left_late_needs_no_redis(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []

    async def away(_redis: object, _account: str, _call: str, seconds: float) -> None:
        told.append(seconds)
        raise RedisAway("away")

    monkeypatch.setattr(counted_departure, "count_as_late", away)
    now = time.monotonic()
    await CountedDeparture(runtime, "call", departure=now, latest=now + 1).left_late(0.01)
    assert told == [0.01]


@pytest.mark.parametrize(
    ("room", "posts", "end_reason"),
    [
        pytest.param(0.2, 1, None, id="room-soon"),
        pytest.param(None, 0, "not_sent", id="room-too-late"),
        pytest.param(RedisAway("away"), 0, "not_sent", id="no-redis"),
    ],
)
async def test_a_call_leaves_when_there_is_room_or_not_at_all(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    room: float | Exception | None,
    posts: int,
    end_reason: str | None,
) -> None:
    asked: list[float] = []

    async def counts(*_: object, ahead: float, longest: float) -> float | None:
        assert ahead >= counted_departure.LEAST_AHEAD_SECONDS, "its thread would miss the moment"
        asked.append(longest)
        if isinstance(room, Exception):
            raise room
        return room

    monkeypatch.setattr(counted_departure, "count_departure", counts)
    attempt = await world.claim(await world.add_lead())
    await world.place(attempt.id)
    row = await world.attempt(attempt.id)
    assert (len(world.carrier.posts), row.end_reason) == (posts, end_reason)
    assert row.spent is (False if end_reason else None)
    too_late = world.runtime.settings.post_too_late_seconds
    assert len(asked) == 1
    assert 0 < asked[0] < too_late, "counted from the commit on"
