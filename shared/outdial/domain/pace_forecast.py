"""Whether calls fit into their windows at a pace: earliest deadline first, as a fluid."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Demand:
    """Calls that may be made from `opens_at` on, before `closes_at` (None: no end in sight)."""

    opens_at: datetime
    closes_at: datetime | None
    calls: int


@dataclass(frozen=True)
class Forecast:
    """When the last call in time is placed, and how many come too late for their window."""

    last_call_at: datetime | None
    too_late: int


def forecast(demands: Iterable[Demand], calls_per_second: float, now: datetime) -> Forecast:
    """Place the calls at this pace, always those first whose window closes first.

    No other order would be late for fewer of them.
    """
    coming = sorted(demands, key=lambda demand: demand.opens_at)
    moments = sorted({now, *_turns(coming, now)})
    waiting: list[tuple[datetime, int, float]] = []
    taken, late, last = 0, 0.0, None
    for start, end in zip(moments, [*moments[1:], None], strict=True):
        while taken < len(coming) and coming[taken].opens_at <= start:
            demand = coming[taken]
            heapq.heappush(waiting, (demand.closes_at or _NEVER, taken, float(demand.calls)))
            taken += 1
        while waiting and waiting[0][0] <= start:
            late += heapq.heappop(waiting)[2]
        placed = _place(waiting, calls_per_second, start, end)
        last = placed or last
    return Forecast(last, round(late))


def _turns(demands: Sequence[Demand], now: datetime) -> Iterable[datetime]:
    for demand in demands:
        for at in (demand.opens_at, demand.closes_at):
            if at is not None and at > now:
                yield at


def _place(
    waiting: list[tuple[datetime, int, float]], rate: float, start: datetime, end: datetime | None
) -> datetime | None:
    """Place what fits between `start` and `end`; when the last of it was placed."""
    room = float("inf") if end is None else (end - start).total_seconds() * rate
    placed = 0.0
    while waiting and room > 0:
        closes_at, number, calls = heapq.heappop(waiting)
        now = min(calls, room)
        placed, room = placed + now, room - now
        if calls - now > 1e-6:
            heapq.heappush(waiting, (closes_at, number, calls - now))
    return start + timedelta(seconds=placed / rate) if placed else None
