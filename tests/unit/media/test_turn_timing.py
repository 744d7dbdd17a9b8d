"""Where the time of a reply went."""

import pytest

from outdial_media.turn_timing import TurnTiming

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_step_counts_from_the_persons_last_sound() -> None:
    clock = Clock()
    timing = TurnTiming(clock)
    for now, step in (
        (100.2, "final_transcript"),
        (100.3, "final_transcript"),
        (100.5, "first_token"),
        (100.6, "first_token"),
        (100.7, "first_audio"),
        (100.8, "first_byte_sent"),
    ):
        clock.now = now
        timing.reached(step)  # type: ignore[arg-type]
    assert timing.since(100.0) == {
        "final_transcript": 300,
        "first_token": 500,
        "first_audio": 700,
        "first_byte_sent": 800,
    }
    assert timing.since(100.0) == {}, "the next reply has times of its own"


def test_what_was_reached_before_the_person_spoke_again_does_not_count() -> None:
    clock = Clock()
    timing = TurnTiming(clock)
    timing.reached("first_token")
    timing.person_speaks()
    clock.now = 101.0
    timing.reached("first_audio")
    assert timing.since(100.5) == {"first_audio": 500}


def test_a_step_before_the_end_of_speech_is_none_of_its_reply() -> None:
    timing = TurnTiming(Clock())
    timing.reached("final_transcript")
    assert timing.since(100.1) == {}
