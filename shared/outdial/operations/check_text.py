"""Text that a store cannot keep."""

import re

# Postgres keeps neither NUL nor half of a surrogate pair; both are legal in a JSON string.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def unstorable(text: str) -> str | None:
    """Why `text` cannot be stored; None if it can."""
    if _UNSTORABLE.search(text):
        return "holds a character that is no text (NUL or half of a surrogate pair)"
    return None


def unstorable_in(value: object) -> bool:
    """Whether any text within plain JSON values cannot be stored."""
    if isinstance(value, str):
        return unstorable(value) is not None
    if isinstance(value, dict):
        return any(unstorable_in(k) or unstorable_in(v) for k, v in value.items())
    return isinstance(value, list) and any(unstorable_in(item) for item in value)
