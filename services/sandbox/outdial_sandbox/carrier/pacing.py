"""How evenly requests came. Pure: their times in, counts out."""

from collections.abc import Sequence
from typing import Any

_MINUTE = 60.0


def busiest(times: Sequence[float], window: float) -> int:
    """The most of `times` (ascending) that lie in any one stretch of `window` seconds.

    The stretch has one of its two ends open: what is exactly `window` apart is not together.
    """
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


def pacing(times: Sequence[float], limit: float) -> dict[str, Any]:
    """The worst second, the worst 10 s, and the best minute as a share of `limit` a second.

    `minute_share` is null until a minute has passed: before, there is nothing to compare.
    """
    seconds = times[-1] - times[0] if times else 0.0
    minute = busiest(times, _MINUTE)
    whole = seconds >= _MINUTE
    return {
        "posts": len(times),
        "first_at": times[0] if times else None,
        "last_at": times[-1] if times else None,
        "limit_per_second": limit,
        "worst_second": busiest(times, 1.0),
        "worst_10_seconds": busiest(times, 10.0),
        "best_minute": minute if whole else None,
        "minute_share": round(minute / (_MINUTE * limit), 4) if whole else None,
        "per_second": round((len(times) - 1) / seconds, 4) if seconds > 0 else None,
    }
