"""Room is shared one call at a time."""

import pytest

from outdial.domain.fair_shares import Wish, fair_shares

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("room", "wishes", "shares"),
    [
        (4, {"a": Wish(0, 9), "b": Wish(0, 9)}, {"a": 2, "b": 2}),
        (3, {"a": Wish(10, 90), "b": Wish(0, 9)}, {"a": 0, "b": 3}),
        (6, {"a": Wish(0, 1), "b": Wish(0, 9)}, {"a": 1, "b": 5}),
        (5, {"a": Wish(0, 1), "b": Wish(3, 2)}, {"a": 1, "b": 2}),
        (0, {"a": Wish(0, 1)}, {"a": 0}),
        (5, {}, {}),
    ],
)
def test_shares(room: int, wishes: dict[str, Wish], shares: dict[str, int]) -> None:
    assert fair_shares(room, wishes) == shares
