"""Dial tokens: departure times, one after the other, shared by every worker through Redis.

Spaced evenly, so that no second holds more than the limit allows. An idle pace is not saved up; one
that nobody took for a moment is.
Whoever is late for his departure does not leave with those who are on time: just before it leaves,
each call is counted for a moment at which there is room for it, and leaves at that. One that left
late all the same is counted for when it did. Redis away means no token, and so no call.
"""

import hashlib
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from outdial.queueing.redis_clock import RedisClock

_FOLDER = Path(__file__).parent
_TAKE = (_FOLDER / "take_departure.lua").read_text("utf-8")
_COUNT = (_FOLDER / "count_departure.lua").read_text("utf-8")

# A little of the pace is given up. Most of it is for the way to the carrier, which does not always
# take as long: calls may come so much closer together on it. With the rest those are made up for
# who were late, and kept others waiting.
_BREATH = 1.01
_TEN_SECONDS = 10.05
_MOST_JITTER = 0.1
_LEAST_GAP = 0.1
# So long a call may wait for room; by how much of what it waits beyond that the next ones are put
# off, in a second all together. Departures are taken two seconds ahead: at 0.8, it would swing.
_LONG_WAIT = 0.5
_PUT_OFF = 0.3
# A departure that nobody was ready to take may be taken so late: what it then keeps waiting is made
# up for where there is room.
_TAKEN_LATE = 0.4

# What a clock is wrong by has calls come closer together, too. One that is known less well is
# looked at again as long as that helps, while there is time.
_CLOCK_WITHIN = 0.005
_MOST_LOOKS = 4

MOST_SLOWDOWN = 4  # a sixteenth of the pace
SLOWDOWN_SECONDS = 15


@dataclass(frozen=True)
class DialTokens:
    """The pace of one account. Moments are monotonic seconds of this process.

    Every method raises `redis.RedisError` when Redis is away. Do not call, then.
    """

    redis: Redis
    account: str
    calls_per_second: float
    clock: RedisClock = field(default_factory=RedisClock)

    async def take_departure(self, notice: float = 0) -> float:
        """Take the next departure that is `notice` seconds away or more, or has just been missed.

        It is used up even if nobody departs.
        """
        await self._look_at_clock()
        interval = 1000 * _BREATH / self.calls_per_second
        (departure,) = await self._run(
            _TAKE, self._keys, interval, 1000 * notice, 1000 * _TAKEN_LATE
        )
        return departure

    async def count_departure(
        self, call: str, departure: float = -math.inf, latest: float = math.inf
    ) -> float | None:
        """Count `call` for `departure`, or for the first room after it.

        None, and not counted, if that is after `latest`. There is room where fewer calls than
        `_rooms` says depart, whoever sends them and however late, and half an interval after the
        last one: of those that are late together each leaves by itself. Counted again, it is
        counted once.
        """
        if self.clock.known_within(time.monotonic()) == math.inf:
            await self._look_at_clock()
        rooms = _rooms(self.calls_per_second)
        found = await self._run(
            _COUNT,
            (self._departures, self._keys[0]),
            call,
            1000 * self.clock.theirs(departure),
            1000 * self.clock.theirs(latest),
            1000 * min(_LEAST_GAP, 0.5 / self.calls_per_second),
            1000 * _LONG_WAIT,
            min(1.0, _PUT_OFF / self.calls_per_second),
            max(most for most, _ in rooms),
            *(number for most, seconds in rooms for number in (most, 1000 * seconds)),
        )
        return found[0] if found else None

    async def count_as_late(self, call: str, seconds: float) -> None:
        """`call` left so long after the moment that it was counted for."""
        # `xx`: a call that is counted no longer is not begun anew.
        await self.redis.zadd(self._departures, {call: 1000 * seconds}, xx=True, incr=True)

    async def slow_down(self) -> None:
        """The carrier finds us too fast (20429, 10004): halve the pace, for some seconds."""
        _, key = self._keys
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.incr(key)
            pipe.expire(key, SLOWDOWN_SECONDS)
            slower, _ = await pipe.execute()
        if slower > MOST_SLOWDOWN:
            await self.redis.set(key, MOST_SLOWDOWN, ex=SLOWDOWN_SECONDS)

    @property
    def _keys(self) -> tuple[str, str]:
        return f"outdial:pace:{self.account}", f"outdial:slower:{self.account}"

    @property
    def _departures(self) -> str:
        return f"outdial:departures:{self.account}"

    async def _look_at_clock(self) -> None:
        for _ in range(_MOST_LOOKS):
            asked = time.monotonic()
            before = self.clock.known_within(asked)
            if before <= _CLOCK_WITHIN:
                break
            seconds, microseconds = await self.redis.time()
            answered = time.monotonic()
            self.clock.note(asked, answered, seconds + microseconds / 1e6)
            if self.clock.known_within(answered) > 0.8 * before:
                break  # so far away is this Redis

    async def _run(
        self, script: str, keys: tuple[str, ...], *arguments: str | float
    ) -> list[float]:
        """Moments that a script answers. The first is Redis' now, which is noted."""
        sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        texts = [repr(one) if isinstance(one, float) else str(one) for one in arguments]
        asked = time.monotonic()
        try:
            answer = await self.redis.evalsha(sha, len(keys), *keys, *texts)
        except NoScriptError:
            asked = time.monotonic()
            answer = await self.redis.eval(script, len(keys), *keys, *texts)
        now, *moments = (float(one) / 1000 for one in answer)
        self.clock.note(asked, time.monotonic(), now)
        return [self.clock.ours(moment) for moment in moments]


def _rooms(calls_per_second: float) -> list[tuple[int, float]]:
    """How many calls may leave in how many seconds; those that are on time never wait for it.

    What may reach the carrier in one second is one more than the limit, so that many may leave in
    one second and a little: they may come as much closer together on their way.
    """
    # Rounded up: with 0.25 a second, ten seconds of an even pace hold three now and then.
    second, ten = (math.ceil(round(n * calls_per_second, 6)) for n in (1, 10))
    longer = 1 + min(_MOST_JITTER, 0.9 / calls_per_second)
    return [(second, 1.0), (second + 1, longer), (ten, _TEN_SECONDS)]
