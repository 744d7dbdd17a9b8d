"""What each tool of an agent is called with, what the model is told of it, and how it is read.

Used by the pod while a person talks, and by the worker that hears what nobody answered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema

from outdial.domain.call_template import CallTemplate, HttpTool

DIGITS = re.compile(r"^[0-9*#]{1,32}$")

_GOODBYE: dict[str, Any] = {
    "goodbye": {
        "type": "string",
        "description": "A short last sentence to say, in the language of the call. Leave it out "
        "if you have just said goodbye.",
    }
}

_DESCRIPTIONS: dict[str, str] = {
    "end_call": "Hang up. Use it when the goal is reached and goodbye is said.",
    "record_outcome": "Record the result of this call. Use it as soon as you know the answer; "
    "calling it again replaces what was recorded.",
    "opt_out": "The person does not want to be called any more. Their number is blocked at once, "
    "for ever, and the call ends.",
    "schedule_callback": "The person asks to be called at another time. Give either `at` or "
    "`in_minutes`.",
    "wrong_person": "Somebody else than the person you want to reach answered, and cannot put "
    "them on. The call ends.",
    "voicemail_reached": "An answering machine or mailbox answered, not a person.",
    "transfer_to_human": "The person wants to talk to a human, or needs one. They are put through "
    "to a colleague, and you leave the call.",
    "send_digits": "Press keys on the telephone's keypad, for an automated menu (\"press 1 for "
    '...") that answered instead of a person. Never for a person.',
}

_PROPERTIES: dict[str, dict[str, Any]] = {
    "end_call": _GOODBYE,
    "opt_out": _GOODBYE,
    "wrong_person": _GOODBYE,
    "voicemail_reached": {},
    "transfer_to_human": {
        "reason": {"type": "string", "description": "What it is about, in one sentence."},
        **_GOODBYE,
    },
    "send_digits": {
        "digits": {
            "type": "string",
            "pattern": DIGITS.pattern,
            "description": "Keys in order: 0-9, * and #.",
        }
    },
    "schedule_callback": {
        "at": {
            "type": "string",
            "description": "When to call, as an ISO 8601 date and time like 2026-03-09T10:00. "
            "Without an offset it is the person's local time.",
        },
        "in_minutes": {
            "type": "number",
            "minimum": 1,
            "description": "In how many minutes to call again.",
        },
        "reason": {"type": "string", "description": "Why, in the person's words."},
    },
}

SUPPORTED: frozenset[str] = frozenset(_DESCRIPTIONS)
"""Built-in tools that can be run."""


@dataclass(frozen=True)
class ToolDefinition:
    """One tool, as a model is told of it; `properties` are JSON Schema."""

    name: str
    description: str
    properties: dict[str, Any]
    required: list[str]


def tool_definitions(template: CallTemplate) -> list[ToolDefinition]:
    """The tools of a call; those that nobody can run are left out."""
    return [_definition(tool, template) for tool in template.tools if _can_run(tool, template)]


def arguments_problem(arguments: Mapping[str, object], schema: Mapping[str, object]) -> str | None:
    """Why these arguments do not fit a JSON Schema (a template's result, a tool's parameters)."""
    validator = jsonschema.Draft202012Validator(dict(schema))
    error = jsonschema.exceptions.best_match(validator.iter_errors(dict(arguments)))
    if error is None:
        return None
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{where}: {error.message}" if where else str(error.message)


def callback_time(
    arguments: Mapping[str, object], now: datetime, timezone: str | None, max_days: int
) -> datetime | str:
    """The moment asked for, or what is wrong with it (for the model to mend)."""
    try:
        at = _asked_time(arguments, now, timezone)
    except (ValueError, TypeError, OverflowError):
        return "not a time: give `at` like 2026-03-09T10:00, or `in_minutes` as a number"
    if at is None:
        return "give `at` or `in_minutes`"
    if at <= now:
        return f"{at.isoformat()} has passed: it is {now.isoformat(timespec='minutes')} now"
    if at > now + timedelta(days=max_days):
        return f"too far away: at most {max_days} days from now"
    return at


def _asked_time(
    arguments: Mapping[str, object], now: datetime, timezone: str | None
) -> datetime | None:
    if arguments.get("at"):
        at = datetime.fromisoformat(str(arguments["at"]))
        return at if at.tzinfo else at.replace(tzinfo=zone_of(timezone))
    if arguments.get("in_minutes") is not None:
        return now + timedelta(minutes=float(str(arguments["in_minutes"])))
    return None


def zone_of(timezone: str | None) -> ZoneInfo:
    """The person's zone; UTC when it is not known, or not one."""
    try:
        return ZoneInfo(timezone or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _can_run(tool: str | HttpTool, template: CallTemplate) -> bool:
    """A version stored before transfers may name one without saying to whom."""
    if tool == "transfer_to_human":
        return bool(template.transfer.number)
    return isinstance(tool, HttpTool) or tool in SUPPORTED


def _definition(tool: str | HttpTool, template: CallTemplate) -> ToolDefinition:
    if isinstance(tool, HttpTool):
        name, description, schema = tool.name, tool.description, tool.parameters
    elif tool == "record_outcome":
        name, description, schema = tool, _DESCRIPTIONS[tool], template.outcome_schema
    else:
        required = ["digits"] if tool == "send_digits" else []
        return ToolDefinition(tool, _DESCRIPTIONS[tool], _PROPERTIES[tool], required)
    properties, required_keys = schema.get("properties"), schema.get("required")
    return ToolDefinition(
        name,
        description,
        dict(properties) if isinstance(properties, Mapping) else {},
        [str(key) for key in required_keys] if isinstance(required_keys, list) else [],
    )
