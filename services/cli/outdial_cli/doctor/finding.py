"""What a check found."""

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "note", "missing"]


@dataclass(frozen=True)
class Finding:
    """One line of the report. `missing` makes the command fail; `do` says how to mend it."""

    about: str
    grade: Grade
    says: str
    do: str = ""


def ok(about: str, says: str) -> Finding:
    """Nothing to do."""
    return Finding(about, "ok", says)


def note(about: str, says: str, do: str = "") -> Finding:
    """It works, within limits that one should know."""
    return Finding(about, "note", says, do)


def missing(about: str, says: str, do: str) -> Finding:
    """No real call without it."""
    return Finding(about, "missing", says, do)
