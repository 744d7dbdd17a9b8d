"""What was heard of what was sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outdial_media.playback import LEAD_SECONDS, Playback, Speech, heard_part

pytestmark = pytest.mark.unit

TEXT = "one two three four five six seven eight nine ten"


def test_sound_is_sent_ahead_of_its_playing_and_no_further() -> None:
    playback = Playback()
    assert playback.sent(0.1, now=10.0) == 0.0
    assert playback.sent(0.1, now=10.0) == 0.0
    assert playback.sent(0.1, now=10.0) == pytest.approx(0.3 - LEAD_SECONDS)
    assert playback.ends_at(10.0) == pytest.approx(10.3)


def test_after_a_silence_the_clock_starts_anew() -> None:
    playback = Playback()
    playback.sent(0.1, now=10.0)
    playback.sent(0.1, now=20.0)
    assert playback.ends_at(20.0) == pytest.approx(20.1)


def test_what_was_cleared_is_not_played() -> None:
    playback = Playback()
    playback.sent(5.0, now=10.0)
    playback.cleared()
    assert playback.ends_at(11.0) == 11.0


def test_a_speech_is_heard_as_time_goes_and_no_more_than_was_sent() -> None:
    speech = Speech(began=10.0, seconds=2.0)
    assert speech.heard_at(9.0) == 0.0
    assert speech.heard_at(11.0) == 1.0
    assert speech.heard_at(19.0) == 2.0


def test_the_cut_falls_between_words() -> None:
    assert heard_part(TEXT, 0.0, 4.0, complete=True) == ""
    assert heard_part(TEXT, 4.0, 4.0, complete=True) == TEXT
    assert heard_part(TEXT, 2.0, 4.0, complete=True) == "one two three four five"


def test_while_the_voice_still_speaks_its_length_is_estimated() -> None:
    half_sent = heard_part(TEXT, 0.5, 0.5, complete=False)
    assert half_sent == "one two"


@given(st.floats(0, 20), st.floats(0, 20), st.booleans())
def test_what_was_heard_is_a_beginning_of_what_was_said(
    heard: float, sent: float, complete: bool
) -> None:
    part = heard_part(TEXT, min(heard, sent), sent, complete)
    assert TEXT.startswith(part)
    assert all(word in TEXT.split() for word in part.split())
