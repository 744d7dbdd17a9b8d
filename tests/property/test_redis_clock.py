"""Redis' clock is known as well as its quickest answer tells it, whatever the others took."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.queueing.redis_clock import RedisClock

pytestmark = pytest.mark.prop

AHEAD = st.floats(-1e6, 1.8e9)  # seconds by which Redis' clock is ahead
ANSWERS = st.lists(
    st.tuples(
        st.floats(0, 5),  # seconds since the answer before
        st.floats(0, 0.1),  # until Redis looked at its clock
        st.floats(0, 0.1),  # and until its answer was there
    ),
    min_size=1,
    max_size=30,
)


def told(clock: RedisClock, ahead: float, answers: list[tuple[float, float, float]]) -> float:
    """The moment of the last answer."""
    now = 1000.0
    for pause, there, back in answers:
        asked = now + pause
        now = asked + there + back
        clock.note(asked, now, asked + there + ahead)
    return now


@given(AHEAD, ANSWERS)
def test_it_is_known_within_half_of_the_quickest_answer(
    ahead: float, answers: list[tuple[float, float, float]]
) -> None:
    clock = RedisClock()
    assert clock.known_within(1000.0) == math.inf
    now = told(clock, ahead, answers)
    quickest = min(there + back for _, there, back in answers)
    passed = sum(sum(answer) for answer in answers)
    known_within = quickest / 2 + 0.0005 * passed + 1e-5
    assert abs(clock.theirs(now) - (now + ahead)) <= clock.known_within(now) + 1e-5
    assert clock.known_within(now) <= known_within
    assert clock.known_within(now + 10) > clock.known_within(now)
    assert math.isclose(clock.ours(clock.theirs(now)), now, abs_tol=1e-5)


@given(AHEAD, ANSWERS, st.floats(1, 1e6) | st.floats(-1e6, -1), ANSWERS)
def test_another_clock_is_known_as_soon_as_it_answers(
    ahead: float,
    before: list[tuple[float, float, float]],
    later: float,
    after: list[tuple[float, float, float]],
) -> None:
    """A replica that was made the first, a clock that was set."""
    clock = RedisClock()
    told(clock, ahead, before)
    now = told(clock, ahead + later, after)
    passed = sum(sum(answer) for answer in before + after)
    assert abs(clock.theirs(now) - (now + ahead + later)) <= 0.1 + 0.0005 * passed + 1e-5


def test_clocks_part_slowly_and_are_followed() -> None:
    """Half a day at 100 millionths, asked every ten seconds."""
    clock = RedisClock()
    for step in range(4320):
        asked = 10.0 * step
        clock.note(asked, asked + 0.001, 1e9 + (asked + 0.0005) * 1.0001)
    assert clock.theirs(asked) == pytest.approx(1e9 + asked * 1.0001, abs=0.002)
