"""Whoever is late for his departure waits until the pace has room for him, or does not call."""

import asyncio
import time
from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as RedisAway

from dialing_world import World
from outdial.operations import counted_departure
from outdial.operations.counted_departure import CountedDeparture
from outdial.operations.runtime import Runtime
from outdial.queueing.dial_tokens import DialTokens

pytestmark = pytest.mark.integration

ACCOUNT = "AC-late"

_names = (f"call-{number}" for number in count())


async def waits(runtime: Runtime, rate: float, account: str = ACCOUNT) -> float:
    """How long a call waits that is counted now, less what passes meanwhile; 0: not at all."""
    departure = await DialTokens(runtime.redis, account, rate).count_departure(next(_names))
    assert departure is not None
    counted = (await departures(runtime, account))[-1]
    return max(0.0, counted - await redis_now(runtime))


async def redis_now(runtime: Runtime) -> float:
    seconds, microseconds = await runtime.redis.time()
    return seconds + microseconds / 1e6


async def departures(runtime: Runtime, account: str = ACCOUNT) -> list[float]:
    """Those that are counted, in seconds, the earliest first."""
    kept = await runtime.redis.zrange(f"outdial:departures:{account}", 0, -1, withscores=True)
    return [at / 1000 for _, at in kept]


async def were(runtime: Runtime, ago_ms: Iterable[float]) -> None:
    """Calls that departed so long ago."""
    now = 1000 * await redis_now(runtime)
    key = f"outdial:departures:{ACCOUNT}"
    await runtime.redis.zadd(key, {next(_names): now - ago for ago in ago_ms})


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
    tokens = DialTokens(runtime.redis, ACCOUNT, 5)
    assert await tokens.count_departure("one more", latest=time.monotonic() + 2) is None
    assert len(await departures(runtime)) == 50, "who does not depart is not counted"


@pytest.mark.parametrize("rate", [0.05, 0.5, 1.0, 2.5])
async def test_a_slow_pace_still_departs(runtime: Runtime, rate: float) -> None:
    assert await waits(runtime, rate) == 0
    assert await waits(runtime, rate, "AC-other") == 0
    assert (await waits(runtime, rate) > 0.5) == (rate <= 1)


@pytest.mark.parametrize("rate", [0.15, 0.25, 0.3, 1.0, 1.1, 1.25, 1.5, 2.5, 7.3, 30.0, 100.0])
async def test_who_is_on_time_never_waits(runtime: Runtime, rate: float) -> None:
    """Eleven seconds of departures at the pace that is given out, and one more on time."""
    await were(runtime, (number * 1010 / rate for number in range(1, int(11 * rate) + 2)))
    assert await waits(runtime, rate) == 0


async def test_one_who_is_late_leaves_between_two_who_are_on_time(runtime: Runtime) -> None:
    in_ten_minutes = 600_000
    gaps = (number * 1010 / 30 for number in range(1, 300) if number != 3)
    await were(runtime, (gap - in_ten_minutes for gap in gaps))
    tokens = DialTokens(runtime.redis, ACCOUNT, 30)
    await tokens.take_departure()  # and knows Redis' clock
    turn = time.monotonic() + 600
    assert await tokens.count_departure("one", turn) == pytest.approx(turn, abs=0.01)
    assert await tokens.count_departure("another", turn) is not None
    moments = await departures(runtime)
    assert moments[-1] - moments[-2] == pytest.approx(0.5 / 30, abs=0.001)


async def test_a_moment_that_was_missed_is_given_back(runtime: Runtime) -> None:
    tokens, soon = DialTokens(runtime.redis, ACCOUNT, 1), time.monotonic() + 60
    first = await tokens.count_departure("one", soon)
    assert first == pytest.approx(soon, abs=0.5)
    again = await tokens.count_departure("one")
    assert again is not None
    assert again < soon - 50
    assert len(await departures(runtime)) == 1


async def test_calls_keep_their_distance_from_one_that_left_late(runtime: Runtime) -> None:
    """A second after it, and not after the moment that it was counted for."""
    tokens = DialTokens(runtime.redis, ACCOUNT, 1)
    first = await tokens.count_departure("late")
    assert first is not None
    await tokens.count_as_late("late", 0.3)
    second = await tokens.count_departure("next")
    assert second is not None
    moments = await departures(runtime)
    assert moments[1] - moments[0] == pytest.approx(1.0, abs=0.001)
    assert second - first == pytest.approx(1.3, abs=0.1)


async def test_a_clock_is_looked_at_until_it_is_known(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that take long say little; those that all take as long say nothing more."""
    look, took = runtime.redis.time, [0.2, 0.05, 0.0]
    looks: list[float] = []

    async def slowly() -> Any:
        found = await look()
        looks.append(took.pop(0) if took else 0.1)
        await asyncio.sleep(looks[-1])
        return found

    tokens = DialTokens(runtime.redis, ACCOUNT, 1)
    monkeypatch.setattr(runtime.redis, "time", slowly)
    await tokens.take_departure()
    assert len(looks) >= 3

    looks.clear()
    now = time.monotonic()
    tokens.clock.note(now, now + 0.002, tokens.clock.theirs(now + 0.001))
    await tokens.take_departure()
    assert looks == []

    await DialTokens(runtime.redis, ACCOUNT, 1).take_departure()
    assert 2 <= len(looks) < 4, "far away: one more tells nothing that the first did not"


@pytest.mark.parametrize(("ago_ms", "put_off"), [(300, 0.06), (600, 0.0)])
async def test_who_waits_for_long_puts_off_those_that_follow(
    runtime: Runtime, ago_ms: float, put_off: float
) -> None:
    """At one a second a call waits out its second: by 30 % of what is beyond 0.5 s of it."""
    tokens, key = DialTokens(runtime.redis, ACCOUNT, 1), f"outdial:pace:{ACCOUNT}"
    await tokens.take_departure()
    before = float(await runtime.redis.get(key))
    await were(runtime, [ago_ms - 60_000])  # a minute from now: no test is so slow
    (other,) = await departures(runtime)
    await tokens.count_departure("waits", tokens.clock.ours(other + ago_ms / 1000))
    assert float(await runtime.redis.get(key)) - before == pytest.approx(1000 * put_off, abs=1)
    assert await runtime.redis.pttl(key) > 0, "what is known of the last second is not kept forever"


async def test_nobody_is_put_off_where_no_pace_is_known(runtime: Runtime) -> None:
    """A Redis that was emptied lets a second pass: no key must make it look otherwise."""
    await were(runtime, [0])
    await waits(runtime, 1)
    assert await runtime.redis.exists(f"outdial:pace:{ACCOUNT}") == 0


async def test_a_call_that_is_counted_no_longer_is_not_begun_anew(runtime: Runtime) -> None:
    await DialTokens(runtime.redis, ACCOUNT, 1).count_as_late("long ago", 0.3)
    assert await departures(runtime) == []


async def test_who_says_that_it_left_late_needs_no_redis(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []

    async def away(_tokens: object, _call: str, seconds: float) -> None:
        told.append(seconds)
        raise RedisAway("away")

    monkeypatch.setattr(DialTokens, "count_as_late", away)
    now = time.monotonic()
    departs = CountedDeparture(runtime.dial_tokens, "call", departure=now, latest=now + 1)
    before = REGISTRY.get_sample_value("outdial_late_departures_total")
    await departs.left_late(0.01)
    assert told == [0.01]
    assert REGISTRY.get_sample_value("outdial_late_departures_total") == (before or 0) + 1


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

    async def counts(_: object, __: str, departure: float, latest: float) -> float | None:
        now = time.monotonic()
        ahead = departure - now
        assert ahead > 0.9 * counted_departure.LEAST_AHEAD_SECONDS, "its thread would be late"
        asked.append(latest - now)
        if isinstance(room, Exception):
            raise room
        return None if room is None else now + room

    monkeypatch.setattr(DialTokens, "count_departure", counts)
    attempt = await world.claim(await world.add_lead())
    await world.place(attempt.id)
    row = await world.attempt(attempt.id)
    assert (len(world.carrier.posts), row.end_reason) == (posts, end_reason)
    assert row.spent is (False if end_reason else None)
    too_late = world.runtime.settings.post_too_late_seconds
    assert len(asked) == 1
    assert 0 < asked[0] < too_late, "counted from the commit on"
