"""Read a template from YAML or JSON, and explain everything that does not fit at once.

`read_document` turns text into plain values, `parse_template` those into a `CallTemplate`,
`body_of` makes the row's body (every default written out, so that a version never changes when a
default does) and `template_of` reads a row back.
"""

import difflib
import json
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from outdial.domain.call_template import CallTemplate, HttpTool, ServiceChoice
from outdial.domain.errors import FieldProblem, InvalidInput
from outdial.operations.check_template import problems_of
from outdial.operations.check_text import unstorable
from outdial.operations.template_language import in_its_language

MAX_BYTES = 256 * 1024
NOT_YET = {
    "webhooks": "outgoing webhooks",
    "inbound": "inbound calls",
    "debug_log": "a debug log",
}
"""Keys of the design that this version does not know."""

_ADAPTER: TypeAdapter[CallTemplate] = TypeAdapter(CallTemplate)


class _Loader(yaml.SafeLoader):
    """YAML without aliases (a small file could unfold into gigabytes) and without double keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases are not read here: write the value out",
                problem_mark=self.get_mark(),
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} stands here twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_document(text: bytes | str) -> object:
    """The plain values of a YAML or JSON text.

    Raises:
        InvalidInput: it is too large, no text, or no YAML; with the line.

    """
    if len(text) > MAX_BYTES:
        raise _one("", f"is larger than {MAX_BYTES // 1024} KB")
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return _plain(yaml.load(decoded, _Loader))  # noqa: S506 - a safe loader made stricter
    except UnicodeDecodeError:
        raise _one("", "is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise _one("", f"is not readable as YAML or JSON: {_where(error)}") from None
    except (RecursionError, ValueError):
        raise _one("", "is not readable as YAML or JSON") from None


def parse_template(value: object) -> CallTemplate:
    """The template that `value` (plain values, as `read_document` gives them) describes.

    Raises:
        InvalidInput: with every problem, each with the path of its key.

    """
    if not isinstance(value, Mapping):
        raise _one("", "must be a mapping of keys, beginning with slug and agent")
    problems = [*_unknown_keys(value, CallTemplate, ""), *_unstorable(value, "")]
    try:
        template = _ADAPTER.validate_python(in_its_language(value))
    except ValidationError as error:
        problems += _shape_problems(value, error, {p.field for p in problems})
        raise InvalidInput("The template has problems.", tuple(problems)) from None
    problems += problems_of(template)
    if problems:
        raise InvalidInput("The template has problems.", tuple(problems))
    return template


def body_of(template: CallTemplate) -> dict[str, Any]:
    """What is stored: plain JSON with every default written out."""
    body: dict[str, Any] = _ADAPTER.dump_python(template, mode="json")
    return body


def template_of(body: Mapping[str, object]) -> CallTemplate:
    """The template in a stored body. Versions are immutable, so equal bodies are read once."""
    return _read(json.dumps(body, sort_keys=True))


@lru_cache(maxsize=256)
def _read(body: str) -> CallTemplate:
    return _ADAPTER.validate_json(body)


def _one(field: str, message: str) -> InvalidInput:
    return InvalidInput("The template cannot be read.", (FieldProblem(field, message),))


def _where(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):
        return "it holds characters that YAML does not allow"
    mark = error.problem_mark
    return (error.problem or "it ends too early") + (f" (line {mark.line + 1})" if mark else "")


def _plain(value: object) -> object:
    """YAML reads bare dates as dates; a template means the text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date | datetime) else value


def _unknown_keys(value: Mapping[Any, Any], kind: Any, path: str) -> Iterator[FieldProblem]:
    types = typing.get_type_hints(kind)
    for key, item in value.items():
        at = f"{path}{key}"
        if key not in types:
            yield FieldProblem(at, _unknown(str(key), tuple(types), path))
        elif is_dataclass(types[key]) and isinstance(item, Mapping):
            yield from _unknown_keys(item, types[key], f"{at}.")
        elif at == "tools" and isinstance(item, list):
            yield from _unknown_keys_of_tools(item)
        elif ServiceChoice in typing.get_args(types[key]) and isinstance(item, Mapping):
            yield from _unknown_keys(item, ServiceChoice, f"{at}.")


def _unknown_keys_of_tools(tools: list[object]) -> Iterator[FieldProblem]:
    for number, tool in enumerate(tools):
        if isinstance(tool, Mapping):
            yield from _unknown_keys(tool, HttpTool, f"tools.{number}.")


def _unknown(key: str, known: tuple[str, ...], path: str) -> str:
    if not path and key in NOT_YET:
        return f"{NOT_YET[key]} is not supported in this version: leave this key out"
    elsewhere = [p for p in _all_paths(CallTemplate, "") if p.rsplit(".", 1)[-1] == key]
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if elsewhere or close:
        return f"is not known here; did you mean {elsewhere[0] if elsewhere else path + close[0]}?"
    return f"is not known here; the nearest known keys are {', '.join(known)}"


def _all_paths(kind: Any, path: str) -> Iterator[str]:
    types = typing.get_type_hints(kind)
    for item in fields(kind):
        yield f"{path}{item.name}"
        if is_dataclass(types[item.name]):
            yield from _all_paths(types[item.name], f"{path}{item.name}.")


def _unstorable(value: object, path: str) -> Iterator[FieldProblem]:
    """Text that Postgres cannot keep, and numbers that JSON has no word for."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield FieldProblem(f"{path}{key}", "a key must be text: put it in quotes")
            else:
                yield from _unstorable(key, path)
            yield from _unstorable(item, f"{path}{key}.")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _unstorable(item, f"{path}{number}.")
    elif isinstance(value, str) and (reason := unstorable(value)):
        yield FieldProblem(path.rstrip("."), reason)
    elif isinstance(value, float) and not math.isfinite(value):
        yield FieldProblem(path.rstrip("."), "must be a finite number")
    elif isinstance(value, bytes | set):
        yield FieldProblem(path.rstrip("."), "must be plain text, a number, a list or a mapping")


def _shape_problems(
    value: Mapping[Any, Any], error: ValidationError, told: set[str]
) -> Iterator[FieldProblem]:
    for item in error.errors(include_url=False, include_context=False):
        place = item["loc"]
        if place[:1] == ("tools",) and len(place) > 2:  # a name or a tool of the template's own
            if (place[2] == HttpTool.__name__) != isinstance(_tool(value, place[1]), Mapping):
                continue
            place = (*place[:2], *place[3:])
        if place[:1] == ("voice",) and len(place) > 2:  # a model's name or a service's
            named = isinstance(_at(value, place[:2]), Mapping)
            if (place[2] == ServiceChoice.__name__) != named:
                continue
            place = (*place[:2], *place[3:])
        path = ".".join(str(part) for part in place)
        if path not in told:
            yield FieldProblem(path, _plain_words(item["type"], item["msg"]))


def _tool(value: Mapping[Any, Any], number: int | str) -> object:
    tools = value.get("tools")
    return tools[number] if isinstance(tools, list) and isinstance(number, int) else None


def _at(value: Mapping[Any, Any], place: tuple[int | str, ...]) -> object:
    found: object = value
    for part in place:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _plain_words(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "dataclass_type":
        return "must be a mapping of keys"
    return message.replace("Input should be", "must be")
