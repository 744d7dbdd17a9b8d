"""Templates: what is read, and how each mistake is explained."""

from pathlib import Path

import pytest

from outdial.domain.call_template import CallTemplate
from outdial.domain.errors import InvalidInput
from outdial.operations.create_template import DEFAULT_TEMPLATE
from outdial.operations.parse_template import (
    body_of,
    parse_template,
    read_document,
    template_of,
)

pytestmark = pytest.mark.unit

EXAMPLES = sorted(Path("examples/templates").glob("*.yaml"))
AGENT = {"name": "Ada", "greeting": "Hello", "prompt": "Ask."}


def problems(value: object) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        parse_template(value)
    found: dict[str, str] = {}
    for problem in caught.value.problems:
        found[problem.field] = f"{found.get(problem.field, '')} {problem.message}"
    return found


def with_key(**more: object) -> dict[str, object]:
    return {"slug": "x", "agent": AGENT, **more}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_are_read(file: Path) -> None:
    template = parse_template(read_document(file.read_bytes()))
    assert template.slug == file.stem
    assert template_of(body_of(template)) == template


def test_the_default_template_holds() -> None:
    assert parse_template(body_of(DEFAULT_TEMPLATE)) == DEFAULT_TEMPLATE


def test_json_is_read_too() -> None:
    template = parse_template(read_document('{"slug": "x", "agent": {"name": "Ada", '
                                            '"greeting": "Hello", "prompt": "Ask."}}'))  # fmt: skip
    assert template == parse_template(with_key())
    assert isinstance(template, CallTemplate)


def test_every_default_is_stored() -> None:
    body = body_of(parse_template(with_key()))
    assert body["retry"]["cooldowns"]["busy"] == 300
    assert body["agent"]["idle"]["seconds"] == 5.0


@pytest.mark.parametrize(
    ("value", "field", "told"),
    [
        (with_key(recordings=True), "recordings", "recording"),
        ({"slug": "x", "agent": AGENT | {"greting": "Hi"}}, "agent.greting", "agent.greeting"),
        (with_key(retry={"max_retrys": 1}), "retry.max_retrys", "retry.max_retries"),
        (with_key(greeting="Hi"), "greeting", "agent.greeting"),
        (with_key(zzzz=1), "zzzz", "slug"),
        (with_key(inbound={}), "inbound", "not supported in this version"),
        (with_key(tools=["fly"]), "tools.0", "'end_call'"),
        (with_key(tools=["end_call", "end_call"]), "tools", "twice"),
        ({"agent": AGENT}, "slug", "missing"),
        ({"slug": "Not a slug", "agent": AGENT}, "slug", "a-z"),
        ({"slug": "x", "agent": AGENT | {"prompt": " "}}, "agent.prompt", "empty"),
        ({"slug": "x", "agent": AGENT | {"prompt": "a" * 20_001}}, "agent.prompt", "longer"),
        ({"slug": "x", "agent": AGENT | {"prompt": "{{a b}}"}}, "agent.prompt", "brace"),
        ({"slug": "x", "agent": AGENT | {"prompt": "a\0b"}}, "agent.prompt", "NUL"),
        ({"slug": "x", "agent": AGENT | {"max_minutes": float("nan")}}, "agent.max_minutes", "fin"),
        ({"slug": "x", "agent": AGENT | {"max_minutes": 0}}, "agent.max_minutes", "between"),
        (with_key(voicemail={"mode": "leave_message"}), "voicemail.script", "leave_message"),
        (with_key(voicemail="no"), "voicemail", "mapping"),
        (with_key(amd={"timeout_seconds": 60}), "amd.timeout_seconds", "between 3 and 59"),
        (with_key(retry={"finish_on": ["won"]}), "retry.finish_on.0", "outcome"),
        (with_key(retry={"finish_on": ["fax"]}), "retry.finish_on", "next_contact_on"),
        (with_key(retry={"cooldowns": {"busy": -1}}), "retry.cooldowns.busy", "between"),
        (with_key(hours={"weekdays": {"monday": []}}), "hours.weekdays.monday", "mon"),
        (with_key(hours={"weekdays": {"mon": ["9-17"]}}), "hours.weekdays.mon.0", "09:00"),
        (with_key(hours={"weekdays": {"mon": ["17:00-09:00"]}}), "hours.weekdays.mon.0", "later"),
        (with_key(hours={"closed_dates": ["2026-02-30"]}), "hours.closed_dates.0", "date"),
        (with_key(outcome_schema={"type": "objekt"}), "outcome_schema.type", "JSON Schema"),
        (with_key(outcome_schema={"type": "object", "properties": 3}),
         "outcome_schema.properties", "JSON Schema"),
        (with_key(outcome_schema={"type": "array"}), "outcome_schema.type", "object"),
        (with_key(outcome_schema={"type": "object", "$ref": "http://x.test/s"}),
         "outcome_schema", "$ref"),
        ([], "", "mapping"),
    ],
)  # fmt: skip
def test_mistakes_are_named(value: object, field: str, told: str) -> None:
    assert told in problems(value)[field]


def test_all_mistakes_are_told_at_once() -> None:
    found = problems({"slug": "X Y", "agent": AGENT | {"max_minutes": 999}, "lokup": {}})
    assert set(found) == {"slug", "agent.max_minutes", "lokup"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"\xff\xfe\x00\x01", "UTF-8"),
        ("a: [1", "line 1"),
        ("a: 1\na: 2", "twice (line 2)"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("a: !!python/object:os.system {}", "tag"),
        ("{" * 5000, "not readable"),
        ("a" * 300_000, "larger"),
        ("a: \x07", "YAML"),
    ],
)
def test_unreadable_texts(text: bytes | str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_document(text)
    assert told in caught.value.problems[0].message


def test_bare_dates_are_text() -> None:
    document = read_document("slug: x\nagent: {name: a, greeting: b, prompt: c}\n"
                             "hours: {closed_dates: [2026-12-25]}")  # fmt: skip
    assert parse_template(document).hours.closed_dates == ("2026-12-25",)
