"""What the answer to a lookup means for the call."""

import json
from typing import Any

import pytest

from outdial.domain.call_template import HttpRequest, Lookup
from outdial.domain.lookup_answer import MAX_LENGTH, Failed, Found, SaysNo, read_answer

pytestmark = pytest.mark.unit


def lookup(**more: Any) -> Lookup:
    variables = {"day": "order.day", "balance": "lines.0.balance"}
    return Lookup(HttpRequest("https://crm.test/"), variables, {"day": "soon"}, **more)


def read(body: object, status: int = 200, **brought: object) -> object:
    text = body if isinstance(body, str) else json.dumps(body)
    return read_answer(lookup(do_not_call_if="closed"), status, text, brought)


WHOLE = {"order": {"day": "Monday"}, "lines": [{"balance": 12.5}]}


def test_values_are_taken_by_their_paths_and_keep_their_kind() -> None:
    assert read(WHOLE) == Found({"day": "Monday", "balance": 12.5})


@pytest.mark.parametrize(
    ("brought", "day"), [({}, {"day": "soon"}), ({"day": ""}, {"day": "soon"}), ({"day": "x"}, {})]
)
def test_an_optional_one_is_what_the_lead_brought_or_its_default(
    brought: dict[str, object], day: dict[str, object]
) -> None:
    assert read({**WHOLE, "order": None}, **brought) == Found({**day, "balance": 12.5})


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (WHOLE, 404, "404"),
        (WHOLE, 302, "302"),
        ("<html>", 200, "no JSON"),
        ("", 200, "no JSON"),
        ("[" * 100_000, 200, "no JSON"),
        ([WHOLE], 200, "lines.0.balance is missing"),
        ("7", 200, "missing"),
        ({**WHOLE, "lines": [{"balance": None}]}, 200, "missing"),
        ({**WHOLE, "lines": [{"balance": [1]}]}, 200, "neither text nor a number"),
        ({**WHOLE, "order": {"day": "x" * (MAX_LENGTH + 1)}}, 200, "longer"),
        ({**WHOLE, "order": {"day": "a\0b"}}, 200, "no text"),
        ({**WHOLE, "order": {"day": "\ud800"}}, 200, "no text"),
        ('{"lines": [{"balance": NaN}]}', 200, "no number"),
        ('{"lines": [{"balance": 1e999}]}', 200, "no number"),
    ],
)  # fmt: skip
def test_what_is_not_what_was_asked_for_has_failed(body: object, status: int, words: str) -> None:
    found = read(body, status)
    assert isinstance(found, Failed)
    assert words in found.error


@pytest.mark.parametrize("value", [True, 1, "yes", "2026-01-01", [0], {"by": "x"}])
def test_it_may_say_no_even_where_a_variable_is_missing(value: object) -> None:
    assert read({"closed": value}) == SaysNo()


@pytest.mark.parametrize("value", [False, 0, None, "", " no ", "False", [], {}])
def test_a_no_that_is_not_one(value: object) -> None:
    assert isinstance(read({**WHOLE, "closed": value}), Found)
