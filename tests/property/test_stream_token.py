"""Stream tokens: only what we signed opens a stream, and only in time."""

import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.routing.stream_token import InvalidToken, StreamClaims, sign, verify

pytestmark = pytest.mark.prop

SECRET = b"a secret"
ALPHABET = string.ascii_letters + string.digits + "-_"

claims = st.builds(
    StreamClaims,
    attempt_id=st.uuids(),
    stream_no=st.integers(0, 65535),
    boot_id=st.text(max_size=16),
    expires_at=st.integers(1, 2**40),
)


@given(claims)
def test_what_was_signed_is_read_back_until_it_expires(granted: StreamClaims) -> None:
    token = sign(SECRET, granted)
    assert set(token) <= set(ALPHABET)
    assert verify(SECRET, token, granted.expires_at - 0.001) == granted
    with pytest.raises(InvalidToken, match="expired"):
        verify(SECRET, token, granted.expires_at)


@given(claims, st.data())
def test_any_change_of_any_character_closes_it(granted: StreamClaims, data: st.DataObject) -> None:
    token = sign(SECRET, granted)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from([c for c in ALPHABET if c != token[at]]))
    with pytest.raises(InvalidToken):
        verify(SECRET, token[:at] + other + token[at + 1 :], 0)


@given(claims, st.integers(0, 200), st.text(ALPHABET + "=", min_size=1, max_size=4))
def test_nothing_may_be_cut_off_or_put_on(granted: StreamClaims, cut: int, put: str) -> None:
    token = sign(SECRET, granted)
    shorter = token[: cut % len(token)]
    for changed in (shorter, token + put, put + token):
        with pytest.raises(InvalidToken):
            verify(SECRET, changed, 0)


@given(st.text())
def test_anything_else_is_refused_and_nothing_breaks(text: str) -> None:
    with pytest.raises(InvalidToken):
        verify(SECRET, text, 0)


@given(claims)
def test_another_secret_opens_nothing(granted: StreamClaims) -> None:
    with pytest.raises(InvalidToken):
        verify(b"another secret", sign(SECRET, granted), 0)


def test_a_boot_id_has_its_longest() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        sign(SECRET, StreamClaims(UUID(int=0), 1, "b" * 65, 1))
