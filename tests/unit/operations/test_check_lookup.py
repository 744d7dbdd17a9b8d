"""What must hold in a template's lookup, and what its leads must bring."""

from typing import Any

import pytest

from outdial.domain.errors import InvalidInput
from outdial.domain.placeholders import variables_of
from outdial.operations.parse_template import body_of, parse_template, template_of

pytestmark = pytest.mark.unit

LOOKUP: dict[str, Any] = {
    "http": {"url": "https://crm.test/{{customer}}", "headers": {"X-Key": "secret:CRM"}},
    "variables": {"balance": "account.balance", "day": "due"},
    "defaults": {"balance": 0, "day": "soon"},
}


def template(**changes: Any) -> dict[str, Any]:
    agent = {
        "name": "Ada",
        "greeting": "Hello {{name}}, about {{balance}}.",
        "prompt": "Due {{day}} at {{shop}}.",
    }
    return {"slug": "debt", "agent": agent, "lookup": {**LOOKUP, **changes}}


def test_a_lead_brings_what_is_asked_with_and_not_what_is_answered() -> None:
    assert variables_of(parse_template(template())) == {"name", "shop", "customer"}


def test_a_variable_that_is_refreshed_is_brought_too() -> None:
    http = {"url": "https://crm.test/{{balance}}"}
    assert "balance" in variables_of(parse_template(template(http=http)))


def test_it_is_stored_and_read_back() -> None:
    made = parse_template(template(do_not_call_if="account.closed"))
    assert template_of(body_of(made)) == made
    assert made.lookup.defaults == {"balance": 0, "day": "soon"}


def test_a_version_from_before_there_were_lookups_has_none() -> None:
    body = body_of(parse_template(template()))
    del body["lookup"]
    assert not template_of(body).lookup.is_wanted


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"http": {}}, "lookup.http.url", "missing"),
        ({"http": {"url": ""}}, "lookup.http.url", "missing"),
        ({"http": {"url": "https://{{host}}/"}}, "lookup.http.url", "host"),
        ({"http": {"url": "ftp://x.test/"}}, "lookup.http.url", "URL"),
        ({"http": {"url": "https://x.test/", "filler": "Hm"}}, "lookup.http.filler", "nobo"),
        ({"http": {"url": "https://x.test/", "timeout_seconds": 16}},
         "lookup.http.timeout_seconds", "between"),
        ({"http": {"url": "https://x.test/", "body": {"a": 1}}}, "lookup.http.body", "GET"),
        ({"http": {"url": "https://x.test/", "headers": {"Host": "y"}}},
         "lookup.http.headers.Host", "header"),
        ({"variables": {}, "defaults": {}}, "lookup.variables", "wanted"),
        ({"variables": {"a b": "x"}}, "lookup.variables.a b", "letters"),
        ({"variables": {"day": " "}}, "lookup.variables.day", "path"),
        ({"defaults": {"day": "soon"}}, "lookup.defaults.balance", "do_not_call"),
        ({"defaults": {**LOOKUP["defaults"], "x": 1}}, "lookup.defaults.x", "none of"),
        ({"defaults": {**LOOKUP["defaults"], "day": "x" * 1001}}, "lookup.defaults.day", "longer"),
        ({"on_failure": "hang_up"}, "lookup.on_failure", "call_anyway"),
        ({"timeout": 3}, "lookup.timeout", "known"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_named(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_template(template(**changes))
    found = {problem.field: problem.message for problem in refused.value.problems}
    assert words in found.get(field, ""), found


def test_without_an_answer_nobody_need_be_called() -> None:
    made = parse_template(template(defaults={}, on_failure="do_not_call"))
    assert made.lookup.on_failure == "do_not_call"
