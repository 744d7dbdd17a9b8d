"""No document brings the parser down, and what it accepts it can store and read back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain.errors import InvalidInput
from outdial.operations.create_template import DEFAULT_TEMPLATE
from outdial.operations.parse_template import body_of, parse_template, read_document, template_of

pytestmark = pytest.mark.prop

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
PATHS = [
    (key, *inner)
    for key, value in body_of(DEFAULT_TEMPLATE).items()
    for inner in ([()] + [(name,) for name in value] if isinstance(value, dict) else [()])
]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse_template(read_document(data))
    except InvalidInput as refusal:
        assert refusal.problems  # noqa: PT017 - either is right


@given(PLAIN)
def test_any_value_is_read_or_refused(value: object) -> None:
    try:
        parse_template(value)
    except InvalidInput as refusal:
        assert refusal.problems  # noqa: PT017 - either is right


@given(path=st.sampled_from(PATHS), value=PLAIN)
def test_one_strange_value_is_stored_whole_or_named(path: tuple[str, ...], value: object) -> None:
    body = body_of(DEFAULT_TEMPLATE)
    inner = body
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    try:
        template = parse_template(body)
    except InvalidInput as refusal:
        assert any(p.field.startswith(path[0]) for p in refusal.problems)  # noqa: PT017
    else:
        stored = json.loads(json.dumps(body_of(template), allow_nan=False))
        assert template_of(stored) == template
