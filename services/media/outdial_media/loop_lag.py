"""How late this process is: a loop that is late is late for every call's sound.

Admission closes while it is, so that calls that go on stay good (`Overload`), and opens again only
when it has been quiet for a while.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from outdial_media import metrics

TICK_SECONDS = 0.02
CLOSE_SECONDS = 0.08
"""Sound is sent 0.2 s ahead of its playing: at this mean lag no call is heard to suffer yet."""

OPEN_SECONDS = 0.015
CALM_SECONDS = 3.0
_PACE = 0.1  # of the running mean, a tick: it follows within a fifth of a second


@dataclass
class Overload:
    """From lags to whether new calls are taken, with hysteresis. Pure; times are seconds.

    The mean runs over ticks: one stall of half a second does not close, a second of it or many
    short ones do.
    """

    lag: float = 0.0
    closed: bool = False
    _calm_since: float | None = None

    def tick(self, late: float, now: float) -> bool:
        """Take in how late a tick was; whether that changed anything."""
        self.lag += _PACE * (late - self.lag)
        if self.lag >= OPEN_SECONDS:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        before = self.closed
        if self.lag >= CLOSE_SECONDS:
            self.closed = True
        elif self._calm_since is not None and now - self._calm_since >= CALM_SECONDS:
            self.closed = False
        return self.closed != before


async def watch_lag(overload: Overload, changed: Callable[[], None]) -> None:
    """Measure until cancelled; `changed` is called when admission closes or opens."""
    metrics.admission_open.set(1)
    worst, reported = 0.0, time.monotonic()
    while True:
        due = time.monotonic() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        now = time.monotonic()
        late = max(0.0, now - due)
        worst = max(worst, late)
        if overload.tick(late, now):
            metrics.admission_open.set(int(not overload.closed))
            changed()
        if now - reported >= 1.0:
            metrics.loop_lag.set(worst)
            worst, reported = 0.0, now
