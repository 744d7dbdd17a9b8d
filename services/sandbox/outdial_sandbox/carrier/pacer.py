"""The network's clock: every line moves 20 ms at a time, on one absolute schedule."""

import asyncio
import logging
import math
from collections.abc import Callable

FRAME_SECONDS = 0.02
# After a stall, lines catch up at three times their pace instead of in one burst.
_MOST_AT_ONCE = 3

logger = logging.getLogger(__name__)


class Schedule:
    """Which frames are due: frame n belongs to `began` + n * 20 ms, however late it is made."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._made = 0

    def due(self, now: float) -> int:
        """How many frames to make now; they count as made."""
        wanted = min(self._frames(now) - self._made, _MOST_AT_ONCE)
        self._made += wanted
        return wanted

    def wait(self, now: float) -> float:
        """Seconds until the next frame's moment."""
        return self._began + (self._frames(now) + 1) * FRAME_SECONDS - now

    def _frames(self, now: float) -> int:
        return math.floor((now - self._began) / FRAME_SECONDS + 1e-9)


class Pacer:
    """Calls `tick` of every line each 20 ms. Late ticks are made up for, so nothing drifts."""

    def __init__(self) -> None:
        self._lines: dict[int, Callable[[], None]] = {}
        self._task: asyncio.Task[None] | None = None

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
        schedule = Schedule(loop.time())
        while self._lines:
            for _ in range(schedule.due(loop.time())):
                self._tick()
            await asyncio.sleep(max(schedule.wait(loop.time()), 0.001))
        self._task = None

    def _tick(self) -> None:
        for key, tick in list(self._lines.items()):
            if key in self._lines:
                try:
                    tick()
                except Exception:
                    # One broken line must not silence the others.
                    logger.exception("a line failed and was taken out")
                    self.remove(key)
