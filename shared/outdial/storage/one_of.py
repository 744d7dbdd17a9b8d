"""A column's value among many, as one array: a thousand parameters take milliseconds to bind."""

import uuid
from collections.abc import Iterable

from sqlalchemy import ColumnElement, Text, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.orm import InstrumentedAttribute


def is_one_of(column: InstrumentedAttribute[str], values: Iterable[str]) -> ColumnElement[bool]:
    """`column` is one of these texts."""
    return column == any_(literal(list(values), ARRAY(Text)))


def id_is_one_of(
    column: InstrumentedAttribute[uuid.UUID], values: Iterable[uuid.UUID]
) -> ColumnElement[bool]:
    """`column` is one of these ids."""
    return column == any_(literal(list(values), ARRAY(UUID(as_uuid=True))))
