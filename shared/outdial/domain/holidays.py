"""Public holidays by rule, so that no list runs out at the end of a year.

A holiday that falls on a weekend is kept on the weekday that stands in for it too.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import lru_cache

_MON, _THU, _FRI, _SAT, _SUN = 0, 3, 4, 5, 6
_DAY = timedelta(days=1)


def is_holiday(calendar: str, on: date) -> bool:
    """Whether `on` is a holiday in one of `CALENDARS`."""
    return on in _holidays(calendar, on.year)


@lru_cache(maxsize=256)
def _holidays(calendar: str, year: int) -> frozenset[date]:
    # A new year's day on a Saturday is kept on the last day of the year before.
    days = (day for y in (year, year + 1) for day in CALENDARS[calendar](y))
    return frozenset(day for day in days if day.year == year)


def _us_federal(year: int) -> Iterator[date]:
    """5 U.S.C. 6103."""
    for month, day in ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25)):
        yield from _with_nearest_weekday(date(year, month, day))
    yield _nth(year, 1, _MON, 3)  # Martin Luther King
    yield _nth(year, 2, _MON, 3)  # Washington
    yield _last(year, 5, _MON)  # Memorial Day
    yield _nth(year, 9, _MON, 1)  # Labor Day
    yield _nth(year, 10, _MON, 2)  # Columbus
    yield _nth(year, 11, _THU, 4)  # Thanksgiving


def _uk_england(year: int) -> Iterator[date]:
    """England and Wales: Banking and Financial Dealings Act 1971, without one-off days."""
    yield from _with_next_weekday(date(year, 1, 1))
    easter = easter_sunday(year)
    yield easter - 2 * _DAY
    yield easter + _DAY
    yield _nth(year, 5, _MON, 1)
    yield _last(year, 5, _MON)
    yield _last(year, 8, _MON)
    christmas = date(year, 12, 25)
    yield from (christmas, christmas + _DAY)
    if christmas.weekday() in {_SAT, _SUN}:
        yield date(year, 12, 27)
    if christmas.weekday() in {_FRI, _SAT}:
        yield date(year, 12, 28)


CALENDARS: dict[str, Callable[[int], Iterator[date]]] = {
    "us-federal": _us_federal,
    "uk-england": _uk_england,
}
"""By the name that `hours.holidays` gives."""


def easter_sunday(year: int) -> date:
    """By the Gregorian computus (Meeus, Jones, Butcher)."""
    century, rest = divmod(year, 100)
    leaps, odd = divmod(century, 4)
    moon = (19 * (year % 19) + century - leaps - (8 * century + 13) // 25 + 15) % 30
    quarter, left = divmod(rest, 4)
    sunday = (32 + 2 * odd + 2 * quarter - moon - left) % 7
    shift = (year % 19 + 11 * moon + 22 * sunday) // 451
    month, day = divmod(moon + sunday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


def _with_nearest_weekday(day: date) -> Iterator[date]:
    yield day
    if day.weekday() == _SAT:
        yield day - _DAY
    if day.weekday() == _SUN:
        yield day + _DAY


def _with_next_weekday(day: date) -> Iterator[date]:
    yield day
    if day.weekday() in {_SAT, _SUN}:
        yield day + (7 - day.weekday()) * _DAY


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _last(year: int, month: int, weekday: int) -> date:
    last = date(year, month + 1, 1) - _DAY
    return last - timedelta(days=(last.weekday() - weekday) % 7)
