"""Calls leave the queue in order, at the account's calls per second."""

import asyncio
from collections.abc import Callable

_MADE_UP_SECONDS = 0.02


class Departures:
    """The queue in front of the network: nothing is refused, everything waits its turn."""

    def __init__(self, calls_per_second: Callable[[], float]) -> None:
        self._rate = calls_per_second
        self._order = asyncio.Lock()  # first come, first served
        self._next_at = 0.0

    async def wait_turn(self) -> None:
        """Return when this call may be placed."""
        loop = asyncio.get_running_loop()
        async with self._order:
            now = loop.time()
            if self._next_at > now:
                await asyncio.sleep(self._next_at - now)
                # A timer that fires late is made up for, or a long queue falls behind its rate.
                now = max(self._next_at, loop.time() - _MADE_UP_SECONDS)
            self._next_at = now + 1 / self._rate()
