"""When a call leaves: at its departure, or as soon after it as the pace has room."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from redis.exceptions import RedisError

from outdial.observability.metrics import LATE_DEPARTURES
from outdial.queueing.dial_tokens import DialTokens

# A call is counted so long before it leaves, and late ones not much later: time enough for Redis'
# answer to reach its thread, which would else miss one moment after the other on full cores.
COUNTED_AHEAD_SECONDS = 0.04
LEAST_AHEAD_SECONDS = 0.02


@dataclass(frozen=True)
class CountedDeparture:
    """A `CallDeparture` that is counted in Redis.

    `call` names the call there, `departure` is when it is its turn, and `latest` when it is too
    late for it: what the gates saw no longer holds (both monotonic seconds).
    """

    tokens: DialTokens
    call: str
    departure: float
    latest: float

    async def when(self) -> float | None:
        """None if it would be after `latest`, or nobody can say that there is room."""
        await asyncio.sleep(self.departure - COUNTED_AHEAD_SECONDS - time.monotonic())
        departure = max(self.departure, time.monotonic() + LEAST_AHEAD_SECONDS)
        try:
            return await self.tokens.count_departure(self.call, departure, self.latest)
        except (RedisError, OSError):
            return None

    async def left_late(self, seconds: float) -> None:
        """Calls that follow keep their distance from when it left."""
        LATE_DEPARTURES.inc()
        with suppress(RedisError, OSError):  # then nobody is counted, and nobody leaves
            await self.tokens.count_as_late(self.call, seconds)
