"""What was heard of what was sent."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial_media.playback import (
    LEAD_SECONDS,
    SAID_AGAIN_SECONDS,
    Playback,
    Speech,
    heard_part,
    seconds_of,
)
from outdial_media.twilio_frames import SAMPLE_RATE

pytestmark = pytest.mark.unit

TEXT = "one two three four five six seven eight nine ten"


def pieces_of(pcm: bytes) -> list[bytes]:
    """40 ms each."""
    return [pcm[at : at + 640] for at in range(0, len(pcm), 640)]


def sound(seconds: float, *, level: int = 3000) -> bytes:
    """A square wave: loud all the way."""
    return struct.pack("<2h", level, -level) * round(seconds * SAMPLE_RATE / 2)


def test_sound_is_sent_ahead_of_its_playing_and_no_further() -> None:
    playback = Playback()
    playback.sent(sound(0.1), now=10.0)
    playback.sent(sound(0.1), now=10.0)
    assert playback.wait(10.0) == 0.0
    playback.sent(sound(0.1), now=10.0)
    assert playback.wait(10.0) == pytest.approx(0.3 - LEAD_SECONDS)
    assert playback.ends_at(10.0) == pytest.approx(10.3)


def test_after_a_silence_the_clock_starts_anew() -> None:
    playback = Playback()
    playback.sent(sound(0.1), now=10.0)
    playback.sent(sound(0.1), now=20.0)
    assert playback.ends_at(20.0) == pytest.approx(20.1)


def test_what_was_cleared_is_not_played() -> None:
    playback = Playback()
    playback.sent(sound(5.0), now=10.0)
    playback.cleared()
    assert playback.ends_at(11.0) == 11.0
    assert playback.take_back(11.0) == (b"", 0.0)


def test_what_was_taken_back_goes_on_at_the_pause_before_it() -> None:
    playback = Playback()
    said = sound(0.5) + sound(0.1, level=0) + sound(0.4)
    for piece in pieces_of(said):
        playback.sent(piece, now=10.0)
    again, seconds = playback.take_back(10.85)
    assert said.endswith(again)
    assert 0.4 <= seconds_of(again) <= 0.5, "from the pause on"
    assert seconds == pytest.approx(seconds_of(again) - 0.15)
    assert playback.ends_at(10.85) == 10.85


def test_of_speech_without_a_pause_little_is_said_twice() -> None:
    playback = Playback()
    for piece in pieces_of(sound(3.0)):
        playback.sent(piece, now=10.0)
    again, seconds = playback.take_back(12.9)
    assert seconds_of(again) == pytest.approx(SAID_AGAIN_SECONDS + 0.1)
    assert seconds == pytest.approx(SAID_AGAIN_SECONDS)


@given(
    st.lists(st.tuples(st.floats(0.02, 0.3), st.sampled_from([0, 3000])), max_size=30),
    st.floats(0, 10),
)
def test_nothing_that_was_not_heard_is_lost(parts: list[tuple[float, int]], later: float) -> None:
    playback, said, now = Playback(), b"", 10.0
    for seconds, level in parts:
        piece = sound(seconds, level=level)
        playback.sent(piece, now)
        said += piece
        now += playback.wait(now)
    now += later
    unheard = playback.ends_at(now) - now
    again, seconds = playback.take_back(now)
    assert said.endswith(again)
    assert seconds >= -0.001
    assert seconds <= SAID_AGAIN_SECONDS + 0.001
    assert seconds_of(again) == pytest.approx(unheard + seconds, abs=0.001)


def test_speech_that_is_held_is_not_heard_until_it_goes_on() -> None:
    speech = Speech(began=10.0, seconds=5.0)
    speech.hold(12.0)
    speech.hold(12.5)
    assert speech.heard_at(13.0) == 2.0
    speech.go_on(13.0, again=0.5)
    assert speech.heard_at(13.0) == pytest.approx(1.5)
    assert speech.heard_at(14.0) == pytest.approx(2.5)
    assert (speech.began, speech.ended(2.5)) == (10.0, pytest.approx(14.0))
    speech.go_on(15.0, again=0.5)
    assert speech.heard_at(15.0) == pytest.approx(3.5), "it was not held"


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
