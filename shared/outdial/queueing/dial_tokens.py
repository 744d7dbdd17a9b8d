"""Dial tokens: departure times, one after the other, shared by every worker through Redis.

Spaced evenly (1/rate), so that no second holds more than the limit allows. An idle pace is not
saved up. Whoever is late for his departure does not leave with those who are on time: as it leaves,
each call is counted, and waits while the last second or the last ten are full. Redis away means no
token, and so no call.
"""

import hashlib
import math
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

_FOLDER = Path(__file__).parent
_TAKE = (_FOLDER / "take_departure.lua").read_text("utf-8")
_COUNT = (_FOLDER / "count_departure.lua").read_text("utf-8")

# A call leaves some milliseconds after its departure, and not always as many. A hundredth of the
# pace is given up so that ten seconds never hold one call too many.
_BREATH = 1.01

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
    return await _seconds(redis, _TAKE, *_keys(account), repr(interval), repr(1000 * notice))


async def count_departure(redis: Redis, account: str, calls_per_second: float) -> float:
    """Count a call that departs now, if there is room for it; else seconds to wait, not counted.

    There is room while fewer calls than the limit allows departed in the last second and in the
    last ten, whoever sent them and however late.

    Raises:
        redis.RedisError: Redis is away. Do not call.

    """
    # Rounded up: with 0.25 a second, ten seconds of an even pace hold three now and then.
    second, ten = (math.ceil(round(n * calls_per_second, 6)) for n in (1, 10))
    return await _seconds(redis, _COUNT, f"outdial:departed:{account}", second, ten, keys=1)


async def _seconds(
    redis: Redis, script: str, *keys_and_arguments: str | int, keys: int = 2
) -> float:
    sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    try:
        wait = await redis.evalsha(sha, keys, *keys_and_arguments)
    except NoScriptError:
        wait = await redis.eval(script, keys, *keys_and_arguments)
    return float(wait) / 1000


async def slow_down(redis: Redis, account: str) -> None:
    """The carrier finds us too fast (20429, 10004): halve the pace, for some seconds."""
    key = _keys(account)[1]
    async with redis.pipeline(transaction=True) as pipe:
        pipe.incr(key)
        pipe.expire(key, SLOWDOWN_SECONDS)
        slower, _ = await pipe.execute()
    if slower > MOST_SLOWDOWN:
        await redis.set(key, MOST_SLOWDOWN, ex=SLOWDOWN_SECONDS)


def _keys(account: str) -> tuple[str, str]:
    return f"outdial:pace:{account}", f"outdial:slower:{account}"
