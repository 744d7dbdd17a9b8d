"""Dial tokens: departure times, one after the other, shared by every worker through Redis.

Spaced evenly, so that no second holds more than the limit allows. An idle pace is not saved up.
Whoever is late for his departure does not leave with those who are on time: just before it leaves,
each call is counted for a moment at which there is room for it, and leaves at that. One that left
late all the same is counted for when it did. Redis away means no token, and so no call.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

_FOLDER = Path(__file__).parent
_TAKE = (_FOLDER / "take_departure.lua").read_text("utf-8")
_COUNT = (_FOLDER / "count_departure.lua").read_text("utf-8")

# A call reaches the carrier some milliseconds after it was sent, and not always as many. A little
# of the pace is given up so that ten seconds never hold one call too many.
_BREATH = 1.012
_TEN_SECONDS = 10.11
# By how much, at most, the calls of one second may come closer together on their way.
_JITTER = 0.1
_LEAST_GAP = 0.1

MOST_SLOWDOWN = 4  # a sixteenth of the pace
SLOWDOWN_SECONDS = 15


async def take_departure(
    redis: Redis, account: str, calls_per_second: float, notice: float = 0
) -> float:
    """Take the next departure that is `notice` seconds away or more; seconds to wait until it.

    It is used up even if nobody departs.

    Raises:
        redis.RedisError: Redis is away. Do not call.

    """
    interval = 1000 * _BREATH / calls_per_second
    wait = await _run(redis, _TAKE, list(_keys(account)), repr(interval), repr(1000 * notice))
    return float(wait) / 1000


async def count_departure(
    redis: Redis,
    account: str,
    calls_per_second: float,
    call: str,
    *,
    ahead: float = 0.0,
    longest: float = math.inf,
) -> float | None:
    """Count `call` for a departure `ahead` seconds away, or for the first room after it.

    The seconds until then; None, and not counted, if that is more than `longest`. There is room
    where fewer calls than `_rooms` says depart, whoever sends them and however late, and half an
    interval after the last one: of those that are late together each leaves by itself. Counted
    again, it is counted once.

    Raises:
        redis.RedisError: Redis is away. Do not call.

    """
    rooms = _rooms(calls_per_second)
    wait = await _run(
        redis,
        _COUNT,
        [_departures(account)],
        call,
        1000 * ahead,
        1000 * longest,
        1000 * min(_LEAST_GAP, 0.5 / calls_per_second),
        max(most for most, _ in rooms),
        *(number for most, seconds in rooms for number in (most, 1000 * seconds)),
    )
    return float(wait) / 1000 if wait else None


async def count_as_late(redis: Redis, account: str, call: str, seconds: float) -> None:
    """`call` left so long after the moment that it was counted for.

    Raises:
        redis.RedisError: Redis is away.

    """
    # `xx`: a call that is counted no longer is not begun anew.
    await redis.zadd(_departures(account), {call: 1000 * seconds}, xx=True, incr=True)


def _rooms(calls_per_second: float) -> list[tuple[int, float]]:
    """How many calls may leave in how many seconds; those that are on time never wait for it.

    What may reach the carrier in one second is one more than the limit, so that many may leave in
    one second and a little: they may come as much closer together on their way.
    """
    # Rounded up: with 0.25 a second, ten seconds of an even pace hold three now and then.
    second, ten = (math.ceil(round(n * calls_per_second, 6)) for n in (1, 10))
    longer = min(1 + _JITTER, 1.01 * (second + 1) / calls_per_second)
    return [(second, 1.0), (second + 1, longer), (ten, _TEN_SECONDS)]


async def _run(redis: Redis, script: str, keys: list[str], *arguments: str | float) -> Any:
    sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    try:
        return await redis.evalsha(sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return await redis.eval(script, len(keys), *keys, *arguments)


async def slow_down(redis: Redis, account: str) -> None:
    """The carrier finds us too fast (20429, 10004): halve the pace, for some seconds."""
    key = _keys(account)[1]
    async with redis.pipeline(transaction=True) as pipe:
        pipe.incr(key)
        pipe.expire(key, SLOWDOWN_SECONDS)
        slower, _ = await pipe.execute()
    if slower > MOST_SLOWDOWN:
        await redis.set(key, MOST_SLOWDOWN, ex=SLOWDOWN_SECONDS)


def _departures(account: str) -> str:
    return f"outdial:departures:{account}"


def _keys(account: str) -> tuple[str, str]:
    return f"outdial:pace:{account}", f"outdial:slower:{account}"
