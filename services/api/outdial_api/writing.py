"""What is written after an answer is on its way, a few at a time: answers go before it."""

import asyncio
from collections.abc import Coroutine

AT_ONCE = 3
"""With every answer's writing at once, two hundred answers a second waited for each other."""


class Writing:
    """Lets a few pieces of work run at once; the others wait in turn."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, work: Coroutine[None, None, None]) -> None:
        """Run it when there is room."""
        async with self._room:
            await work
