"""What the answer to a template's lookup means for the call. Pure.

The values are spoken to a person: one that cannot be (a list, too long a text) is none, and a
lookup that does not bring all that is asked of it has failed, whatever the HTTP status.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from outdial.domain.call_template import Lookup, Scalar
from outdial.domain.json_path import at_path

MAX_LENGTH = 1000
"""Characters of one value."""

# Postgres keeps neither NUL nor half of a surrogate pair; both are legal in a JSON string.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NO = frozenset({"", "0", "false", "no", "none", "null"})


@dataclass(frozen=True)
class Found:
    """Call, with these values."""

    values: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class SaysNo:
    """The operator's own system says not to call."""


@dataclass(frozen=True)
class Failed:
    """There is no answer, or not the one that was asked for; `error` says what it lacks."""

    error: str


Answered = Found | SaysNo | Failed


def read_answer(lookup: Lookup, status: int, text: str, brought: Mapping[str, object]) -> Answered:
    """The answer to a lookup; `brought` are the lead's own variables.

    An optional variable that is missing keeps what the lead brought, or becomes its default.
    """
    if not 200 <= status < 300:
        return Failed(f"the service answered {status}")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return Failed("the answer is no JSON")
    if lookup.do_not_call_if and _is_true(at_path(document, lookup.do_not_call_if)):
        return SaysNo()
    values: dict[str, Scalar] = {}
    for name, path in lookup.variables.items():
        value = at_path(document, path)
        if value is not None and (problem := _problem(value)) is not None:
            return Failed(f"{path} {problem}")
        if isinstance(value, Scalar):
            values[name] = value
        elif name not in lookup.defaults:
            return Failed(f"{path} is missing")
    return Found(fallbacks(lookup, brought) | values)


def fallbacks(lookup: Lookup, brought: Mapping[str, object]) -> dict[str, Scalar]:
    """The defaults of the variables that the lead does not bring itself."""
    return {
        name: value
        for name, value in lookup.defaults.items()
        if brought.get(name) is None or brought[name] == ""
    }


def _problem(value: object) -> str | None:
    """Why a value cannot be spoken, or kept."""
    if not isinstance(value, Scalar):
        return "is neither text nor a number"
    if len(str(value)) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    if isinstance(value, str):
        return "holds a character that is no text" if _UNSTORABLE.search(value) else None
    return None if math.isfinite(value) else "is no number"


def _is_true(value: object) -> bool:
    return value.strip().lower() not in _NO if isinstance(value, str) else bool(value)
