"""Arguments that fit a tool's JSON Schema, built from what a script says and what was heard."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Words of an enum that mean yes or no, the plainest first; a stem matches the words it begins.
_YES = ("yes", "true", "confirm", "accept", "agree", "interested", "success", "satisf", "done")
_NO = ("no", "false", "declin", "reject", "refus", "unsatisf", "fail", "not")
_WHOLE_WORDS = ("no", "not", "yes")


def choose(alternatives: Sequence[Mapping[str, Any]], known: Mapping[str, Any]) -> dict[str, Any]:
    """The first alternative whose keys are all known; of a single one, the keys that are."""
    for arguments in alternatives:
        if not known or set(arguments) <= set(known):
            return dict(arguments)
    if len(alternatives) == 1:
        return {key: value for key, value in alternatives[0].items() if key in known}
    return {}


def complete(
    arguments: Mapping[str, Any], schema: Mapping[str, Any], heard: str, *, positive: bool
) -> dict[str, Any]:
    """Add what the schema requires, and what can be told from a yes or a no."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return dict(arguments)
    required = set(schema.get("required") or ())
    out = dict(arguments)
    for name, wanted in properties.items():
        if name in out or not isinstance(wanted, Mapping):
            continue
        if name in required or (not arguments and _tells(wanted)):
            out[name] = _value(wanted, heard, positive=positive)
    return {name: _limited(value, properties.get(name)) for name, value in out.items()}


def _tells(wanted: Mapping[str, Any]) -> bool:
    return "enum" in wanted or wanted.get("type") == "boolean"


def _value(wanted: Mapping[str, Any], heard: str, *, positive: bool) -> Any:
    for fixed in ("const", "default"):
        if fixed in wanted:
            return wanted[fixed]
    if wanted.get("enum"):
        return _from_enum(wanted["enum"], positive=positive)
    for key in ("anyOf", "oneOf"):
        if wanted.get(key):
            return _value(wanted[key][0], heard, positive=positive)
    return _of_type(wanted, heard, positive=positive)


def _of_type(wanted: Mapping[str, Any], heard: str, *, positive: bool) -> Any:
    kind = wanted.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    match kind:
        case "boolean":
            return positive
        case "integer" | "number":
            return wanted.get("minimum", wanted.get("maximum", 1))
        case "array":
            items = wanted.get("items") or {}
            return [
                _value(items, heard, positive=positive) for _ in range(wanted.get("minItems", 0))
            ]
        case "object":
            return complete({}, wanted, heard, positive=positive)
        case "null":
            return None
    return heard or "-"


def _from_enum(values: Sequence[Any], *, positive: bool) -> Any:
    for meaning in _YES if positive else _NO:
        for value in values:
            words = re.findall(r"[a-z]+", str(value).lower())
            negated = positive and set(words) & {"no", "not"}
            if not negated and any(_means(word, meaning) for word in words):
                return value
    return values[0] if positive else values[-1]


def _means(word: str, meaning: str) -> bool:
    return word == meaning if meaning in _WHOLE_WORDS else word.startswith(meaning)


def _limited(value: Any, wanted: Any) -> Any:
    longest = wanted.get("maxLength") if isinstance(wanted, Mapping) else None
    return value[:longest] if isinstance(value, str) and isinstance(longest, int) else value
