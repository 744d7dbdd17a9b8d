"""Calls leave the queue in order, at the account's calls per second."""

import asyncio
from collections.abc import Callable


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
            if (wait := self._next_at - loop.time()) > 0:
                await asyncio.sleep(wait)
            self._next_at = max(self._next_at, loop.time()) + 1 / self._rate()
