"""Variables in texts: what is found is filled, and nothing of a value is read as a variable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain.placeholders import fill, malformed_in, names_in

pytestmark = pytest.mark.prop

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="{}"), max_size=12)
SPACES = st.text(st.sampled_from(" \t"), max_size=2)
VALUES = st.text(max_size=20)


@given(st.lists(st.tuples(PLAIN, SPACES, NAMES, SPACES), max_size=6), PLAIN, VALUES)
def test_each_variable_is_found_and_filled_once(
    parts: list[tuple[str, str, str, str]], end: str, value: str
) -> None:
    text = "".join(f"{plain}{{{{{a}{name}{b}}}}}" for plain, a, name, b in parts) + end
    assert names_in(text) == {name for _, _, name, _ in parts}
    assert malformed_in(text) is None
    filled = fill(text, dict.fromkeys(names_in(text), value))
    assert filled == "".join(plain + value for plain, _, _, _ in parts) + end


@given(st.text(st.sampled_from("{}ab_ 1"), max_size=30))
def test_any_text_can_be_filled(text: str) -> None:
    assert not names_in(fill(text, {})) or "{{" in text
    if malformed_in(text) is None:
        assert "{{" not in fill(text, dict.fromkeys(names_in(text), "x"))
