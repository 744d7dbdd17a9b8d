"""When a person may be called, by the clock on their wall.

A number that could ring in several time zones is called only when the hours of all of them allow.
The hours of a jurisdiction are not wider than a template's: where both say something, both hold.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from outdial.domain.call_template import Hours
from outdial.domain.dial_gates import LOOK_AGAIN, Allowed, Reason, Refused, Verdict
from outdial.domain.errors import InvalidInput
from outdial.domain.holidays import is_holiday
from outdial.domain.jurisdictions import JURISDICTIONS

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAYS_AHEAD = 15  # hours repeat each week; where none opens within two, look again tomorrow
_ALL_DAY = (0, 24 * 60)
_QUARTER = timedelta(minutes=15)  # clocks are put forward by multiples of it


def allowed(hours: Hours, zones: Sequence[str], now: datetime) -> Verdict:
    """Whether a person in one of `zones` (none: unknown) may be called at `now`.

    A refusal names the next moment at which every zone is open.
    """
    if may_ring(hours, zones, now):
        return Allowed()
    if not zones:
        return Refused(Reason.TIMEZONE_UNKNOWN, now + LOOK_AGAIN)
    opens = _next_opening(hours, tuple(zones), _minute(now))
    return Refused(Reason.OUTSIDE_HOURS, opens or now + LOOK_AGAIN)


def may_ring(hours: Hours, zones: Sequence[str], now: datetime) -> bool:
    """Whether a phone in all of `zones` (none: unknown) may ring at `now`."""
    if not is_limited(hours):
        return bool(zones) or not hours.require_timezone
    return bool(zones) and _open_everywhere(hours, map(ZoneInfo, zones), now)


def is_limited(hours: Hours) -> bool:
    """Whether there is any moment at which these hours keep a phone from ringing."""
    return bool(hours.weekdays or hours.closed_dates or hours.holidays or hours.jurisdictions)


@dataclass(frozen=True)
class Window:
    """From when to when a person may be called; `closes_at` None: for at least two weeks."""

    opens_at: datetime
    closes_at: datetime | None


def window_at(hours: Hours, zones: Sequence[str], now: datetime) -> Window | None:
    """The window that is open at `now`, or else the next one; None if none opens in two weeks."""
    if not zones and (is_limited(hours) or hours.require_timezone):
        return None
    if not is_limited(hours):
        return Window(now, None)
    is_open_now = _open_everywhere(hours, map(ZoneInfo, zones), now)
    opens = now if is_open_now else _next_opening(hours, tuple(zones), _minute(now))
    return Window(opens, _closing(hours, tuple(zones), _minute(opens))) if opens else None


def opening_within(
    hours: Hours, zones: Sequence[str], now: datetime, minutes: float
) -> Window | None:
    """The window that is open at `now`, if it opened in the `minutes` before; else None."""
    if not is_limited(hours) or not may_ring(hours, zones, now):
        return None
    at, opened = now - timedelta(minutes=minutes), None
    while (window := window_at(hours, zones, at)) is not None and window.opens_at <= now:
        opened = window if window.opens_at > at else None
        if window.closes_at is None or window.closes_at > now:
            return opened
        at = window.closes_at
    return None


def spread_over(window: Window, key: bytes, minutes: float) -> datetime:
    """A moment of its own for each `key` (a lead's id) soon after an opening, always the same.

    So that a thousand leads that wait for nine o'clock do not all come up in its first second. It
    is never later than half of the window.
    """
    most = timedelta(minutes=minutes)
    if window.closes_at is not None:
        most = min(most, (window.closes_at - window.opens_at) / 2)
    share = int.from_bytes(hashlib.blake2b(key, digest_size=4).digest()) / 2**32
    return window.opens_at + most * share


def is_open(hours: Hours, zone: ZoneInfo, at: datetime) -> bool:
    """Whether the hours of one zone allow a call at this moment."""
    local = at.astimezone(zone)
    minute = local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in _windows(hours, local.date()))


def was_open_before(hours: Hours, zone: str, opening: datetime) -> bool:
    """Whether a zone was open already in the minute before an opening."""
    return is_open(hours, ZoneInfo(zone), opening - timedelta(minutes=1))


def _open_everywhere(hours: Hours, clocks: Iterable[ZoneInfo], at: datetime) -> bool:
    return all(is_open(hours, zone, at) for zone in clocks)


# Looked for in every zone, two weeks ahead: milliseconds, and the same for every lead of a minute.
@lru_cache(maxsize=10_000)
def _next_opening(hours: Hours, zones: tuple[str, ...], minute: datetime) -> datetime | None:
    """All zones become open at a moment at which one of them opens: try those, in order."""
    clocks = [ZoneInfo(zone) for zone in zones]
    openings = {at for zone in clocks for at in _openings(hours, zone, minute) if at > minute}
    return next((at for at in sorted(openings) if _open_everywhere(hours, clocks, at)), None)


@lru_cache(maxsize=10_000)
def _closing(hours: Hours, zones: tuple[str, ...], minute: datetime) -> datetime | None:
    """The first moment after an open one at which some zone is closed."""
    clocks = [ZoneInfo(zone) for zone in zones]
    changes = {at for zone in clocks for at in _changes(hours, zone, minute) if at > minute}
    return next((at for at in sorted(changes) if not _open_everywhere(hours, clocks, at)), None)


def _minute(at: datetime) -> datetime:
    """Windows begin and end with a minute: what holds at its start holds within it."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def _openings(hours: Hours, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    today = now.astimezone(zone).date()
    for day in range(_DAYS_AHEAD):
        on = today + timedelta(days=day)
        for start, _ in _windows(hours, on):
            yield from _moments(datetime.combine(on, time(*divmod(start, 60))), zone)


def _changes(hours: Hours, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """Moments around which a zone may close: ends of windows, of days, and changes of the clock."""
    today = now.astimezone(zone).date()
    for day in range(_DAYS_AHEAD):
        on = today + timedelta(days=day)
        midnight = datetime.combine(on, time())
        for _, end in _windows(hours, on):
            yield from _moments(midnight + timedelta(minutes=end), zone)
        yield from _moments(midnight + timedelta(days=1), zone)


def _moments(local: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The moments at which a wall clock shows `local`, or first shows something later.

    Two when the clock is put back over it. When it is put forward over it, the moment of the change
    is among those yielded, with earlier ones at which it is not yet that late.
    """
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    yield first
    while second < first:
        yield second
        second += _QUARTER
    if second > first:
        yield second


def _windows(hours: Hours, on: date) -> list[tuple[int, int]]:
    """The open minutes of a local day, as (first, first no more)."""
    if on.isoformat() in hours.closed_dates:
        return []
    if any(is_holiday(calendar, on) for calendar in hours.holidays):
        return []
    day = WEEKDAYS[on.weekday()]
    tables = [hours.weekdays, *(JURISDICTIONS[name].weekdays for name in hours.jurisdictions)]
    windows = [_ALL_DAY]
    for table in tables:
        if table:
            windows = _both(windows, [_window(text) for text in table.get(day, ())])
    return windows


def _both(
    one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """The minutes that are in both."""
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return [(start, end) for start, end in pairs if start < end]


@cache
def _window(text: str) -> tuple[int, int]:
    """`09:00-17:30` in minutes of the day; `24:00` ends it.

    Raises:
        InvalidInput: it is none, or ends before it begins.
    """
    try:
        start, end = (_minutes(part) for part in text.split("-"))
    except ValueError:
        raise InvalidInput(f"{text!r} is no window: write it like 09:00-17:30") from None
    if not 0 <= start < end <= 24 * 60:
        raise InvalidInput(f"{text!r} must end later than it begins, on the same day")
    return start, end


def _minutes(text: str) -> int:
    hours, minutes = (int(part) for part in text.strip().split(":"))
    if not 0 <= minutes < 60:
        raise ValueError(text)
    return hours * 60 + minutes
