"""Errors that a caller may act on. Which HTTP status one becomes is the API's business."""

from collections.abc import Sequence
from dataclasses import dataclass


class OutdialError(Exception):
    """Something could not be done; the message says what, and what would help."""

    retryable: bool = False
    """Whether the same request may succeed later with nothing changed by the caller."""


class NotFound(OutdialError):
    """What was named does not exist."""


class Conflict(OutdialError):
    """It exists, in a state that does not allow this."""


class Denied(OutdialError):
    """Who asks is not known, or may not do this."""


class Unavailable(OutdialError):
    """A store or a provider does not answer at the moment."""

    retryable = True


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field; `field` is a path like `contacts.0.phone`."""

    field: str
    message: str


class InvalidInput(OutdialError):
    """The input does not hold; `problems` name the fields where they are known."""

    def __init__(self, message: str, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
