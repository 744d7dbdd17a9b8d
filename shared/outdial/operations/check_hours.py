"""Hours that a campaign sets for itself: the same shape as a template's, checked the same way."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from outdial.domain.call_template import Hours
from outdial.domain.errors import FieldProblem, InvalidInput
from outdial.operations.check_template import hours_problems

_ADAPTER: TypeAdapter[Hours] = TypeAdapter(Hours)


def checked_hours(hours: dict[str, Any] | None) -> dict[str, Any] | None:
    """`hours` with every default written out.

    Raises:
        InvalidInput: a key or a value does not fit.

    """
    if hours is None:
        return None
    known = Hours.__dataclass_fields__
    problems = [
        FieldProblem(f"hours.{key}", f"is not known here; known are {', '.join(known)}")
        for key in hours
        if key not in known
    ]
    try:
        read = _ADAPTER.validate_python(hours)
    except ValidationError as error:
        problems += [
            FieldProblem(".".join(("hours", *map(str, e["loc"]))), e["msg"]) for e in error.errors()
        ]
        raise InvalidInput("The hours are not valid.", problems) from None
    problems += hours_problems(read)
    if problems:
        raise InvalidInput("The hours are not valid.", problems)
    stored: dict[str, Any] = _ADAPTER.dump_python(read, mode="json")
    return stored
