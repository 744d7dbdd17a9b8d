"""When a call leaves: at its departure, or as soon after it as the pace has room."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from redis.exceptions import RedisError

from outdial.operations.runtime import Runtime
from outdial.queueing.dial_tokens import count_as_late, count_departure

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

    runtime: Runtime
    call: str
    departure: float
    latest: float

    async def when(self) -> float | None:
        """None if it would be after `latest`, or nobody can say that there is room."""
        settings = self.runtime.settings
        await asyncio.sleep(self.departure - COUNTED_AHEAD_SECONDS - time.monotonic())
        asked = time.monotonic()
        try:
            wait = await count_departure(
                self.runtime.redis,
                settings.twilio_account_sid,
                settings.calls_per_second,
                self.call,
                ahead=max(self.departure - asked, LEAST_AHEAD_SECONDS),
                longest=self.latest - asked,
            )
        except (RedisError, OSError):
            return None
        # Redis' clock and ours were read at the same moment, somewhere between asking and now.
        return None if wait is None else (asked + time.monotonic()) / 2 + wait

    async def left_late(self, seconds: float) -> None:
        """Calls that follow keep their distance from when it left."""
        account = self.runtime.settings.twilio_account_sid
        with suppress(RedisError, OSError):  # it is not counted at all, then, as everything in it
            await count_as_late(self.runtime.redis, account, self.call, seconds)
