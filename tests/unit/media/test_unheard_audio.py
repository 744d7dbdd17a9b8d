"""What a recogniser that is connected anew is given to hear."""

import pytest

from outdial_media.unheard_audio import BYTES_A_SECOND, LONGEST_SECONDS, UnheardAudio

pytestmark = pytest.mark.unit


def second(number: int) -> bytes:
    return bytes([number]) * BYTES_A_SECOND


def kept(*numbers: int) -> UnheardAudio:
    audio = UnheardAudio()
    for number in numbers:
        audio.sent(second(number))
    return audio


def test_what_has_a_transcript_is_forgotten() -> None:
    audio = kept(1, 2, 3)
    audio.heard_until(2.0)
    assert audio.again() == second(3)


def test_a_new_stream_counts_from_its_own_beginning() -> None:
    audio = kept(1, 2, 3)
    audio.heard_until(1.0)
    assert audio.again() == second(2) + second(3)
    audio.heard_until(1.0)
    assert audio.again() == second(3)


def test_what_is_too_old_does_not_shift_what_a_transcript_covers() -> None:
    audio = kept(1, 2, 3)
    audio.keep_last(2.0)
    audio.heard_until(2.0)
    assert audio.again() == second(3)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 99.0])
def test_a_transcript_of_nothing_known_does_no_harm(seconds: float) -> None:
    audio = kept(1)
    audio.heard_until(seconds)
    assert audio.seconds in (0.0, 1.0)


def test_it_does_not_grow_for_ever() -> None:
    audio = kept(*range(LONGEST_SECONDS + 5))
    assert audio.seconds == LONGEST_SECONDS
    assert audio.again()[:1] == bytes([5])
