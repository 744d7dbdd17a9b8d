"""docs/template-keys.md has every key of a template, each with the default that it has."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from outdial.domain.call_template import Agent, CallTemplate
from outdial.operations.parse_template import parse_template

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[3] / "docs/template-keys.md"
ELSEWHERE = {"lookup", "transfer"}
"""Whole sections of docs/templates.md: nothing happens without them."""
FREE = {"outcome_schema", "weekdays", "labels"}
"""Whose keys are the operator's own."""


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def keys(document: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in document.items():
        yield f"{path}{key}"
        if isinstance(value, Mapping) and key not in FREE:
            yield from keys(value, f"{path}{key}.")


def test_every_key_stands_there(told: dict[str, Any]) -> None:
    there = {k: v for k, v in asdict(parse_template(told)).items() if k not in ELSEWHERE}
    assert sorted(keys(told)) == sorted(keys(there))


def test_each_has_its_default(told: dict[str, Any]) -> None:
    agent = told["agent"]
    required = Agent(agent["name"], agent["greeting"], agent["prompt"])
    assert parse_template(told) == CallTemplate(slug=told["slug"], agent=required)
