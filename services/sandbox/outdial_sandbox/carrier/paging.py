"""Lists in pages, as Twilio cuts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from outdial_sandbox.carrier.api_errors import ApiError

MAX_PAGE = 1000


class Listed(Protocol):
    """Anything with a SID."""

    @property
    def sid(self) -> str:
        """Its SID."""
        ...


@dataclass(frozen=True)
class Page:
    """One page of `items`; `body` is Twilio's envelope without the list itself."""

    items: Sequence[Any]
    body: dict[str, Any]


def page_of(items: Sequence[Listed], path: str, query: Sequence[tuple[str, str]]) -> Page:
    """Cut the page that `query` asks for; its addresses repeat the filters.

    A PageToken names the last item seen, so that new items in front do not shift the pages.
    """
    asked = dict(query)
    size = _whole(asked.get("PageSize", "50"), "PageSize", 1)
    number = _whole(asked.get("Page", "0"), "Page", 0)
    size = min(size, MAX_PAGE)
    start = _after(items, asked["PageToken"]) if "PageToken" in asked else number * size
    shown = items[start : start + size]
    more = start + size < len(items)

    def address(page: int, token: str | None = None) -> str:
        kept = [(name, value) for name, value in query if not name.startswith("Page")]
        where = [("PageSize", str(size)), ("Page", str(page))]
        return f"{path}?{urlencode(kept + where + ([('PageToken', token)] if token else []))}"

    return Page(
        shown,
        {
            "end": number * size + max(len(shown) - 1, 0),
            "first_page_uri": address(0),
            "next_page_uri": address(number + 1, f"PA{shown[-1].sid}") if more else None,
            "page": number,
            "page_size": size,
            "previous_page_uri": address(number - 1) if number else None,
            "start": number * size,
            "uri": f"{path}?{urlencode(list(query))}" if query else path,
        },
    )


def _after(items: Sequence[Listed], token: str) -> int:
    sid = token.removeprefix("PA")
    for index, item in enumerate(items):
        if item.sid == sid:
            return index + 1
    raise ApiError(20001, f"Invalid PageToken {token}")


def _whole(text: str, name: str, low: int) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) < low:
        raise ApiError(20001, f"{name} is not a number from {low}: {text}")
    return int(text)


def in_time(at: float | None, name: str, query: Sequence[tuple[str, str]]) -> bool:
    """Whether `at` passes the filters `name`, `name<` and `name>`.

    A day or a moment may be given; without an operator the day counts, as documented.
    """
    for given, value in query:
        if given in (name, f"{name}<", f"{name}>"):
            if at is None:
                return False
            if not _passes(datetime.fromtimestamp(at, UTC), given.removeprefix(name), value):
                return False
    return True


def _passes(at: datetime, operator: str, value: str) -> bool:
    limit = _moment(value)
    whole_day = operator == "" or len(value) <= len("2026-01-31")
    left: date = at.date() if whole_day else at
    right: date = limit.date() if whole_day else limit
    return {"": left == right, "<": left <= right, ">": left >= right}[operator]


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ApiError(20001, f"not a date: {value}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
