"""What the model is offered, and how its arguments are read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from outdial.domain.call_template import DEFAULT_TOOLS
from outdial.operations.tool_arguments import callback_time, outcome_problem, zone_of
from outdial_media.tool_schemas import tool_schemas

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 9, 15, 0, tzinfo=UTC)
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"status": {"type": "string", "enum": ["yes", "no"]}, "n": {"type": "integer"}},
    "required": ["status"],
    "additionalProperties": False,
}


def test_every_default_tool_is_offered_in_its_order() -> None:
    assert [schema.name for schema in tool_schemas(DEFAULT_TOOLS, SCHEMA)] == list(DEFAULT_TOOLS)


def test_the_result_is_asked_for_as_the_template_defines_it() -> None:
    (schema,) = tool_schemas(["record_outcome"], SCHEMA)
    assert schema.properties == SCHEMA["properties"]
    assert schema.required == ["status"]


def test_tools_of_later_versions_are_not_offered() -> None:
    assert tool_schemas(["send_digits", "transfer_to_human"], SCHEMA) == []


def test_a_result_is_checked_against_the_schema() -> None:
    assert outcome_problem({"status": "yes"}, SCHEMA) is None
    assert "status" in str(outcome_problem({}, SCHEMA))
    assert "maybe" in str(outcome_problem({"status": "maybe"}, SCHEMA))
    assert outcome_problem({"status": "yes", "n": "1"}, SCHEMA) == "n: '1' is not of type 'integer'"
    assert outcome_problem({"status": "yes", "other": 1}, SCHEMA) is not None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"in_minutes": 90}, NOW + timedelta(minutes=90)),
        ({"in_minutes": "90"}, NOW + timedelta(minutes=90)),
        ({"at": "2026-03-09T18:00+00:00"}, datetime(2026, 3, 9, 18, 0, tzinfo=UTC)),
        # Without an offset it is the person's time: New York is four hours behind that day.
        ({"at": "2026-03-10T10:00"}, datetime(2026, 3, 10, 14, 0, tzinfo=UTC)),
    ],
)
def test_a_callback_time_is_read(arguments: dict[str, Any], expected: datetime) -> None:
    assert callback_time(arguments, NOW, "America/New_York", 30) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"at": "tomorrow"},
        {"at": "2026-03-09T10:00"},
        {"in_minutes": "soon"},
        {"in_minutes": -5},
        {"in_minutes": 60 * 24 * 31},
        {"in_minutes": 1e300},
        {"in_minutes": float("nan")},
    ],
)
def test_a_callback_time_that_cannot_be_goes_back_to_the_model(arguments: dict[str, Any]) -> None:
    assert isinstance(callback_time(arguments, NOW, "America/New_York", 30), str)


def test_an_unknown_zone_is_utc() -> None:
    assert zone_of("Mars/Olympus").key == "UTC"
    assert zone_of(None).key == "UTC"
    assert zone_of("Europe/Rome").key == "Europe/Rome"
