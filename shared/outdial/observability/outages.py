"""A store that is away is told of when it goes and when it is back, not by everybody who asked."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

_log = structlog.get_logger(__name__)

REPEAT_SECONDS = 60.0
"""How often it is said again while it lasts."""


@dataclass
class _Outage:
    since: float
    told: float
    failures: int = 1


class Outages:
    """What this process knows of the stores it cannot reach, by name (`redis`, `postgres`)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._outages: dict[str, _Outage] = {}

    @property
    def stores(self) -> tuple[str, ...]:
        """Those that are away."""
        return tuple(self._outages)

    def away(self, store: str, reason: str) -> None:
        """Something failed because of it."""
        now = self._clock()
        outage = self._outages.get(store)
        if outage is None:
            self._outages[store] = _Outage(now, now)
            _log.warning("store_away", store=store, reason=_line(reason))
            return
        outage.failures += 1
        if now - outage.told >= REPEAT_SECONDS:
            outage.told = now
            _log.warning(
                "store_still_away",
                store=store,
                reason=_line(reason),
                seconds=round(now - outage.since, 1),
                failures=outage.failures,
            )

    def back(self, store: str) -> None:
        """It answered."""
        outage = self._outages.pop(store, None)
        if outage is not None:
            _log.warning(
                "store_back",
                store=store,
                seconds=round(self._clock() - outage.since, 1),
                failures=outage.failures,
            )


def _line(reason: str) -> str:
    return next(iter(reason.splitlines()), "")[:300]
