"""A template's own tools and its transfer: what is accepted, and how each mistake is named."""

from typing import Any

import pytest

from outdial.domain.errors import InvalidInput
from outdial.domain.placeholders import variables_of
from outdial.operations.parse_template import body_of, parse_template, template_of

pytestmark = pytest.mark.unit

AGENT = {"name": "Ada", "greeting": "Hello", "prompt": "Ask."}
URL = "https://api.shop.test/orders/{{order}}"


def tool(**changes: Any) -> dict[str, Any]:
    http = {"url": URL, **changes.pop("http", {})}
    return {"name": "look", "description": "Look it up.", "http": http, **changes}


def template(*tools: Any, **more: Any) -> dict[str, Any]:
    return {"slug": "x", "agent": AGENT, "tools": list(tools), **more}


def problems(value: object) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        parse_template(value)
    return {problem.field: problem.message for problem in caught.value.problems}


def test_a_tool_is_stored_whole_and_read_back() -> None:
    made = parse_template(template("end_call", tool(), "opt_out"))
    assert template_of(body_of(made)) == made


def test_a_lead_must_bring_what_the_model_does_not() -> None:
    properties = {"detail": {"type": "string"}}
    own = tool(
        parameters={"type": "object", "properties": properties},
        http={"url": f"{URL}?d={{{{detail}}}}", "headers": {"X-Shop": "{{shop}}"}},
    )
    assert variables_of(parse_template(template(own))) == {"order", "shop"}


@pytest.mark.parametrize(
    "url",
    [
        "https://API.Shop.test/a",
        "http://127.0.0.1:8090/a?b={{c}}#d",
        "https://[2001:db8::1]:8443/{{a}}",
        "https://shop.test",
        "https://shop.test?q={{q}}",
    ],
)
def test_urls_that_name_their_host(url: str) -> None:
    assert parse_template(template(tool(http={"url": url}))).tools


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://{{host}}/a", "host"),
        ("https://shop.test{{path}}", "host"),
        ("https://shop.test:{{port}}/", "host"),
        ("https://{{user}}@shop.test/", "host"),
        ("https://user:password@shop.test/", "URL"),
        ("https://shop.test\\@evil.test/", "URL"),
        ("ftp://shop.test/", "URL"),
        ("file:///etc/passwd", "URL"),
        ("https:///a", "URL"),
        ("https://shop.test/\n", "URL"),
        ("", "URL"),
        ("{{url}}", "URL"),
    ],
)
def test_urls_that_could_lead_anywhere(url: str, told: str) -> None:
    assert told in problems(template(tool(http={"url": url})))["tools.0.http.url"]


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"name": "end_call"}, "name", "built-in"),
        ({"name": "a b"}, "name", "1-64"),
        ({"description": " "}, "description", "when to use"),
        ({"parameters": {"type": "array"}}, "parameters.type", "object"),
        ({"parameters": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}},
         "parameters", "$ref"),
        ({"http": {"method": "HEAD"}}, "http.method", "'GET'"),
        ({"http": {"body": {"a": 1}}}, "http.body", "GET"),
        ({"http": {"timeout_seconds": 60}}, "http.timeout_seconds", "between"),
        ({"http": {"filler": "{{a b}}"}}, "http.filler", "brace"),
        ({"http": {"method": "POST", "body": {"a": ["{{a b}}"]}}}, "http.body.a.0", "brace"),
        ({"http": {"headers": {"Host": "x"}}}, "http.headers.Host", "may set"),
        ({"http": {"headers": {"A": "b\r\nC: d"}}}, "http.headers.A", "one line"),
        ({"http": {"headers": {"A": "Bearer secret:lower"}}}, "http.headers.A", "capitals"),
        ({"http": {"headers": {"A": "secret:SHOP_HOSTS"}}}, "http.headers.A", "capitals"),
        ({"http": {"headers": {"A": "x secret:A secret:B"}}}, "http.headers.A", "capitals"),
        ({"answer": {"max_length": 0}}, "answer.max_length", "between"),
        ({"answer": {"fields": {"error": "a"}}}, "answer.fields.error", "rename"),
        ({"http": {"metod": "GET"}}, "http.metod", "method"),
        ({"parameters": 3}, "parameters", "dictionary"),
    ],
)  # fmt: skip
def test_mistakes_in_a_tool_are_named(changes: dict[str, Any], field: str, told: str) -> None:
    assert told in problems(template(tool(**changes)))[f"tools.0.{field}"]


def test_a_tool_is_named_once() -> None:
    assert "twice" in problems(template(tool(), tool()))["tools"]


@pytest.mark.parametrize(
    ("tools", "transfer", "field", "told"),
    [
        (["transfer_to_human"], {}, "transfer.number", "missing"),
        (["end_call"], {"number": "+12125550100"}, "transfer.number", "needs"),
        (["transfer_to_human"], {"number": "0800 123"}, "transfer.number", "like +1"),
        (["transfer_to_human"], {"number": "+12125550100", "caller_id": "me"},
         "transfer.caller_id", "like +1"),
        (["transfer_to_human"], {"number": "+12125550100", "timeout_seconds": 1},
         "transfer.timeout_seconds", "between"),
        (["transfer_to_human"], {"number": "+12125550100", "fallback": "{{a b}}"},
         "transfer.fallback", "brace"),
    ],
)  # fmt: skip
def test_mistakes_in_a_transfer_are_named(
    tools: list[str], transfer: dict[str, Any], field: str, told: str
) -> None:
    assert told in problems(template(*tools, transfer=transfer))[field]
