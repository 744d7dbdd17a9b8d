"""Departures: evenly spaced, shared by everybody, never a burst."""

import asyncio
import time
from itertools import pairwise

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from outdial.operations.runtime import Runtime
from outdial.queueing.dial_tokens import MOST_SLOWDOWN, DialTokens

pytestmark = pytest.mark.integration

ACCOUNT = "AC-tokens"


async def departures(redis: Redis, count: int, rate: float) -> list[float]:
    """The moments given away, by Redis's own clock (less one interval)."""
    found = []
    for _ in range(count):
        await DialTokens(redis, ACCOUNT, rate).take_departure()
        found.append(float(await redis.get(f"outdial:pace:{ACCOUNT}")) / 1000)
    return found


async def waits(runtime: Runtime, rate: float, account: str = ACCOUNT) -> float:
    """Seconds until the departure that is taken, from before it was asked for."""
    asked = time.monotonic()
    return await DialTokens(runtime.redis, account, rate).take_departure() - asked


async def test_an_emptied_redis_lets_a_second_pass_first(runtime: Runtime) -> None:
    (departure,) = await departures(runtime.redis, 1, 1)
    seconds, microseconds = await runtime.redis.time()
    assert 2.010 - 0.1 < departure - seconds - microseconds / 1e6 <= 2.010
    assert await waits(runtime, 1) > 1.010


@pytest.mark.parametrize("rate", [1.0, 5.0, 30.0])
async def test_departures_keep_the_pace(runtime: Runtime, rate: float) -> None:
    seconds = 30
    moments = await departures(runtime.redis, round(rate * seconds) + 1, rate)
    gaps = [after - before for before, after in pairwise(moments)]
    assert min(gaps) >= 1 / rate
    in_ten_seconds = max(
        sum(1 for other in moments if moment <= other < moment + 10) for moment in moments
    )
    assert in_ten_seconds <= rate * 10
    assert len(gaps) / (moments[-1] - moments[0]) > 0.98 * rate


async def test_takers_at_once_depart_one_after_the_other(runtime: Runtime) -> None:
    await asyncio.gather(*(waits(runtime, 10) for _ in range(50)))
    assert await waits(runtime, 10) > 5


async def test_an_idle_pace_is_not_saved_up(runtime: Runtime) -> None:
    await runtime.redis.set(f"outdial:pace:{ACCOUNT}", 0)
    assert await waits(runtime, 2) < 0.4
    first, second, third = await departures(runtime.redis, 3, 2)
    assert (second - first, third - second) == pytest.approx((0.505, 0.505), abs=0.001)


@pytest.mark.parametrize(("late_ms", "kept"), [(50, True), (600, False)])
async def test_a_pace_that_nobody_took_for_a_moment_goes_on(
    runtime: Runtime, late_ms: float, kept: bool
) -> None:
    """Who dispatches a little late loses no call by it; what was idle for longer begins anew."""
    seconds, microseconds = await runtime.redis.time()
    turn = seconds * 1000 + microseconds / 1000 - late_ms
    await runtime.redis.set(f"outdial:pace:{ACCOUNT}", turn)
    first, second = await departures(runtime.redis, 2, 30)
    assert (first - turn / 1000 == pytest.approx(1.01 / 30, abs=0.001)) == kept
    assert second - first == pytest.approx(1.01 / 30, abs=0.001)


async def test_accounts_have_a_pace_each(runtime: Runtime) -> None:
    for account in (ACCOUNT, "AC-other"):
        await runtime.redis.set(f"outdial:pace:{account}", 0)
    assert await waits(runtime, 1) < 0.9
    assert await waits(runtime, 1, "AC-other") < 0.9


async def test_a_slowed_pace_halves_but_never_stops_and_recovers(runtime: Runtime) -> None:
    redis = runtime.redis
    for _ in range(MOST_SLOWDOWN + 3):
        await DialTokens(redis, ACCOUNT, 1).slow_down()
    first, second = await departures(redis, 2, 1)
    assert second - first == pytest.approx(16.16, abs=0.001)
    assert 0 < await redis.ttl(f"outdial:slower:{ACCOUNT}") <= 15
    await redis.delete(f"outdial:slower:{ACCOUNT}")
    first, second = await departures(redis, 2, 1)
    assert second - first == pytest.approx(1.010, abs=0.001)


async def test_without_redis_there_is_no_departure() -> None:
    nobody = Redis(host="127.0.0.1", port=9, socket_connect_timeout=1)
    with pytest.raises((RedisError, OSError)):
        await DialTokens(nobody, ACCOUNT, 1).take_departure()
    await nobody.aclose()
