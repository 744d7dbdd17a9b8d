"""What must hold in a JSON Schema that a template brings."""

from collections.abc import Iterator, Mapping

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from outdial.domain.errors import FieldProblem

_MAX_DEPTH = 20


def schema_problems(at: str, schema: Mapping[str, object]) -> Iterator[FieldProblem]:
    """What does not hold in the schema of named fields that stands at the path `at`."""
    try:
        if _depth(schema) > _MAX_DEPTH:
            yield FieldProblem(at, f"is nested over {_MAX_DEPTH} levels deep")
            return
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        path = ".".join((at, *(str(part) for part in error.absolute_path)))
        yield FieldProblem(path, f"is not JSON Schema: {error.message[:200]}")
        return
    if schema.get("type") != "object":
        yield FieldProblem(f"{at}.type", "must be object: the agent gives named fields")
    if any(not ref.startswith("#") for ref in _references(schema)):
        yield FieldProblem(at, "must not refer to another document with $ref")


def _depth(value: object) -> int:
    inner = _inner(value)
    return 1 + max((_depth(item) for item in inner), default=0)


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict) and isinstance(value.get("$ref"), str):
        yield value["$ref"]
    for item in _inner(value):
        yield from _references(item)


def _inner(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []
