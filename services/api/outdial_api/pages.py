"""Lists come in pages: `items`, and `next_cursor` to ask for what follows (null at the end).

A cursor is opaque to its user. Inside it is the key of the last item, so that pages stay true
while rows come and go.
"""

import base64
import binascii
import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from outdial.domain.errors import FieldProblem, InvalidInput

Item = TypeVar("Item")
Row = TypeVar("Row")

Limit = Annotated[int, Query(ge=1, le=500, description="How many items at most.")]
Cursor = Annotated[
    str | None, Query(max_length=200, description="`next_cursor` of the page before.")
]


class Page(BaseModel, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next_cursor: str | None = Field(description="Ask with this for the next page; null: the end.")


def page_of(
    rows: Sequence[Row], limit: int, key: Callable[[Row], object], shown: Callable[[Row], Item]
) -> Page[Item]:
    """A page of up to `limit` of `rows`, of which one more than that was asked for."""
    items = [shown(row) for row in rows[:limit]]
    more = _encode(str(key(rows[limit - 1]))) if len(rows) > limit else None
    return Page(items=items, next_cursor=more)


def text_of(cursor: str | None) -> str | None:
    """The key within a cursor."""
    if cursor is None:
        return None
    try:
        return base64.urlsafe_b64decode(cursor.encode("ascii")).decode("utf-8").replace("\0", "")
    except (UnicodeError, binascii.Error):
        raise _bad_cursor() from None


def id_of(cursor: str | None) -> uuid.UUID | None:
    """The id within a cursor."""
    text = text_of(cursor)
    try:
        return None if text is None else uuid.UUID(text)
    except ValueError:
        raise _bad_cursor() from None


def _encode(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _bad_cursor() -> InvalidInput:
    problem = FieldProblem("query.cursor", "is none of ours: use next_cursor as it came")
    return InvalidInput("The request is not valid.", [problem])
