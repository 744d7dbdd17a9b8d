"""What the model is offered, and how its arguments are read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outdial.domain.call_template import (
    DEFAULT_TOOLS,
    Agent,
    CallTemplate,
    HttpRequest,
    HttpTool,
    Transfer,
)
from outdial.operations.tool_arguments import arguments_problem, callback_time, zone_of
from outdial_media.tool_schemas import tool_schemas

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 9, 15, 0, tzinfo=UTC)
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"status": {"type": "string", "enum": ["yes", "no"]}, "n": {"type": "integer"}},
    "required": ["status"],
    "additionalProperties": False,
}


def template(*tools: Any, **more: Any) -> CallTemplate:
    agent = Agent(name="A", greeting="Hi", prompt="P")
    return CallTemplate(slug="t", agent=agent, tools=tools, outcome_schema=SCHEMA, **more)


def test_every_default_tool_is_offered_in_its_order() -> None:
    offered = [schema.name for schema in tool_schemas(template(*DEFAULT_TOOLS))]
    assert offered == list(DEFAULT_TOOLS)


def test_the_result_is_asked_for_as_the_template_defines_it() -> None:
    (schema,) = tool_schemas(template("record_outcome"))
    assert schema.properties == SCHEMA["properties"]
    assert schema.required == ["status"]


def test_a_tool_of_the_templates_own_is_offered_as_it_is_described() -> None:
    tool = HttpTool("look", "Look it up.", HttpRequest("https://x.test/"), parameters=SCHEMA)
    (schema,) = tool_schemas(template(tool))
    assert (schema.name, schema.description) == ("look", "Look it up.")
    assert (schema.properties, schema.required) == (SCHEMA["properties"], ["status"])


def test_nobody_is_offered_a_transfer_to_nowhere() -> None:
    tools = ("send_digits", "transfer_to_human")
    assert [s.name for s in tool_schemas(template(*tools))] == ["send_digits"]
    somewhere = template(*tools, transfer=Transfer(number="+12125550100"))
    assert [s.name for s in tool_schemas(somewhere)] == list(tools)


def test_a_result_is_checked_against_the_schema() -> None:
    assert arguments_problem({"status": "yes"}, SCHEMA) is None
    assert "status" in str(arguments_problem({}, SCHEMA))
    assert "maybe" in str(arguments_problem({"status": "maybe"}, SCHEMA))
    assert (
        arguments_problem({"status": "yes", "n": "1"}, SCHEMA) == "n: '1' is not of type 'integer'"
    )
    assert arguments_problem({"status": "yes", "other": 1}, SCHEMA) is not None


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
