"""Dial tokens: departure times, one after the other, shared by every worker through Redis.

Spaced evenly (1/rate), so that no second holds more than the limit allows. An idle pace is not
saved up. Redis away means no token, and so no call.
"""

import hashlib
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

_SCRIPT = (Path(__file__).parent / "take_departure.lua").read_text("utf-8")
_HASH = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

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
    keys_and_arguments = (*_keys(account), repr(interval), repr(1000 * notice))
    try:
        wait = await redis.evalsha(_HASH, 2, *keys_and_arguments)
    except NoScriptError:
        wait = await redis.eval(_SCRIPT, 2, *keys_and_arguments)
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
