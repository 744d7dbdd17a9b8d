"""The network's clock: every line moves 20 ms at a time, on one absolute schedule."""

import asyncio
import logging
from collections.abc import Callable

FRAME_SECONDS = 0.02
# After a stall, lines catch up at three times their pace instead of in one burst.
_MOST_AT_ONCE = 3

logger = logging.getLogger(__name__)


class Pacer:
    """Calls `tick` of every line each 20 ms. Late ticks are made up for, so nothing drifts."""

    def __init__(self) -> None:
        self._lines: dict[int, Callable[[], None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._made = 0
        self._began = 0.0

    def add(self, tick: Callable[[], None]) -> int:
        """From now on call `tick`; the number returned removes it."""
        key = id(tick)
        while key in self._lines:
            key += 1
        self._lines[key] = tick
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="pacer")
        return key

    def remove(self, key: int) -> None:
        """Call it no more."""
        self._lines.pop(key, None)

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._began, self._made = loop.time(), 0
        while self._lines:
            due = int((loop.time() - self._began) / FRAME_SECONDS) - self._made
            for _ in range(min(due, _MOST_AT_ONCE)):
                self._tick()
            at = (
                self._began + (int((loop.time() - self._began) / FRAME_SECONDS) + 1) * FRAME_SECONDS
            )
            await asyncio.sleep(max(at - loop.time(), 0.001))
        self._task = None

    def _tick(self) -> None:
        self._made += 1
        for key, tick in list(self._lines.items()):
            if key in self._lines:
                try:
                    tick()
                except Exception:
                    # One broken line must not silence the others.
                    logger.exception("a line failed and was taken out")
                    self.remove(key)
