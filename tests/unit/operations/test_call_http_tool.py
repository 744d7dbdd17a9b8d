"""A tool of the template's own: what is sent, and what the model is told of the answer."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from outdial.domain.call_template import HttpAnswer, HttpRequest, HttpTool
from outdial.operations.call_http_tool import call_http_tool, filled_url
from outdial.operations.guarded_http import AddressRefused, Fetched
from outdial.operations.tool_secrets import SecretMissing, fill_headers

pytestmark = pytest.mark.unit


class _Http:
    """Answers everything the same, and keeps what was asked."""

    def __init__(self, answer: Fetched | Exception) -> None:
        self.answer = answer
        self.asked: dict[str, Any] = {}

    async def fetch(self, method: str, url: str, **asked: Any) -> Fetched:
        self.asked = {"method": method, "url": url, **asked}
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answered(body: object, status: int = 200) -> Fetched:
    text = body if isinstance(body, str) else json.dumps(body)
    return Fetched(status, "application/json", text.encode())


async def run(
    answer: Fetched | Exception,
    wanted: HttpAnswer | None = None,
    arguments: dict[str, Any] | None = None,
    **request: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the model is told, and what was asked."""
    http = _Http(answer)
    made = HttpRequest(**{"url": "https://shop.test/orders/{{order}}", **request})
    tool = HttpTool("look", "Look.", made, answer=wanted or HttpAnswer())
    given = {"order": "A 7"} if arguments is None else arguments
    told = await call_http_tool(http, tool, given, {"shop": "S", "n": 3})  # type: ignore[arg-type]
    return told, http.asked


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("A/7", "A%2F7"),
        ("a b&c=d?e#f", "a%20b%26c%3Dd%3Fe%23f"),
        ("../admin", "..%2Fadmin"),
        ("ü", "%C3%BC"),
        (7, "7"),
        (True, "yes"),
        (None, ""),
    ],
)
def test_a_value_cannot_leave_its_place_in_the_url(value: object, path: str) -> None:
    assert filled_url("https://x.test/o/{{v}}", {"v": value}) == f"https://x.test/o/{path}"


@pytest.mark.parametrize("value", [".", ".."])
def test_a_value_does_not_climb_the_path(value: str) -> None:
    with pytest.raises(ValueError, match="dot"):
        filled_url("https://x.test/o/{{v}}/lines", {"v": value})


async def test_what_is_sent() -> None:
    _, asked = await run(answered({}), method="POST", headers={"X-Shop": "{{shop}}"})
    assert asked["url"] == "https://shop.test/orders/A%207"
    assert asked["headers"] == {"X-Shop": "S"}
    assert asked["json"] == {"order": "A 7"}, "without a body of its own: the arguments"


async def test_a_body_is_filled_and_keeps_kinds() -> None:
    body = {"a": "{{n}}", "b": ["no. {{n}} of {{shop}}", {"c": "{{order}}"}], "d": 1}
    _, asked = await run(answered({}), method="PUT", body=body)
    assert asked["json"] == {"a": 3, "b": ["no. 3 of S", {"c": "A 7"}], "d": 1}


async def test_a_get_has_no_body() -> None:
    _, asked = await run(answered({}))
    assert asked["json"] is None


@pytest.mark.parametrize(
    ("body", "fields", "told"),
    [
        ({"a": 1}, {}, {"answer": {"a": 1}}),
        ("plain words", {}, {"answer": "plain words"}),
        ("", {}, {"ok": True}),
        ({"a": {"b": [{"c": 5}]}}, {"x": "a.b.0.c"}, {"x": 5}),
        ({"a": []}, {"x": "a.0.c", "y": "b"}, {"x": None, "y": None}),
        ("<html>", {"x": "a"}, {"ok": True}),
    ],
)
async def test_what_the_model_is_told(
    body: object, fields: dict[str, str], told: dict[str, Any]
) -> None:
    assert (await run(answered(body), HttpAnswer(fields=fields)))[0] == told


async def test_a_long_answer_is_cut() -> None:
    told, _ = await run(answered({"a": "x" * 5000, "b": 1}), HttpAnswer(max_length=100))
    assert len(json.dumps(told)) < 200


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answered({"why": "no such order"}, 404), "404"),
        (answered("", 302), "302"),
        (TimeoutError(), "within 5 seconds"),
        (httpx.ConnectError("refused"), "could not be reached"),
        (AddressRefused("the URL leads to an internal address"), "not set up"),
    ],
)
async def test_what_goes_wrong_is_an_answer(answer: Fetched | Exception, words: str) -> None:
    assert words in (await run(answer))[0]["error"]


async def test_the_reason_of_a_refusal_is_told_with_it() -> None:
    told, _ = await run(answered({"why": "no such order"}, 404))
    assert told["answer"] == {"why": "no such order"}


async def test_a_secret_that_comes_back_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTDIAL_TOOL_SECRET_SHOP", "s3cret-value")
    told, asked = await run(
        answered({"echo": "Bearer s3cret-value"}), headers={"Authorization": "Bearer secret:SHOP"}
    )
    assert asked["headers"] == {"Authorization": "Bearer s3cret-value"}
    assert told == {"answer": {"echo": "Bearer [secret]"}}


async def test_an_argument_never_names_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTDIAL_TOOL_SECRET_SHOP", "s3cret-value")
    _, asked = await run(
        answered({}), arguments={"order": "secret:SHOP"}, headers={"X-Order": "{{order}}"}
    )
    assert asked["headers"] == {"X-Order": "secret:SHOP"}


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    filled = fill_headers(
        {"A": "secret:T"}, {}, "x.test", {"OUTDIAL_TOOL_SECRET_T_FILE": str(file)}
    )
    assert filled.headers == {"A": "from-a-file"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OUTDIAL_TOOL_SECRET_T_FILE": "/no/such/file"},
        {"OUTDIAL_TOOL_SECRET_T": "two\nlines"},
        {"OUTDIAL_TOOL_SECRET_T": "v", "OUTDIAL_TOOL_SECRET_T_HOSTS": "api.other.test, other.test"},
    ],
)
def test_a_secret_that_is_not_for_this_host_is_not_sent(environment: dict[str, str]) -> None:
    with pytest.raises(SecretMissing, match="OUTDIAL_TOOL_SECRET_T"):
        fill_headers({"A": "secret:T"}, {}, "x.test", environment)


def test_a_secret_goes_to_the_hosts_it_is_for() -> None:
    environment = {
        "OUTDIAL_TOOL_SECRET_T": "v",
        "OUTDIAL_TOOL_SECRET_T_HOSTS": "other.test, X.test",
    }
    assert fill_headers({"A": "secret:T"}, {}, "x.test", environment).headers == {"A": "v"}
