"""What the agent says, from when it comes until it was sent."""

import pytest

from outdial_media.saying import Said, Sayings

pytestmark = pytest.mark.unit


def test_turns_are_known_before_they_are_sent_and_follow_each_other() -> None:
    sayings = Sayings()
    sayings.words("Thank you.")
    sayings.words("When do you come?")
    sayings.sound(3.0)
    sayings.end()
    sayings.words("Are you there?")
    first = sayings.current
    assert (first.text, first.seconds, first.ended) == ("Thank you. When do you come?", 3.0, True)
    sayings.sent()
    assert (sayings.current.text, sayings.current.ended) == ("Are you there?", False)
    sayings.forget()
    sayings.sent()
    assert sayings.current.text == ""


def test_all_of_it_is_there_when_the_voice_has_stopped() -> None:
    sayings = Sayings()
    sayings.words("0123456789" * 3)
    sayings.sound(1.0)
    assert Said(sayings.current, 0.5).position == 8, "thirty characters take two seconds"
    sayings.voice_stopped()
    assert Said(sayings.current, 0.5).position == 15, "they take one"
    sayings.words("more")
    assert not sayings.current.whole
    sayings.end()
    assert sayings.current.whole


def test_a_turn_without_words_is_one() -> None:
    sayings = Sayings()
    sayings.end()
    sayings.words("Hello.")
    sayings.sent()
    assert sayings.current.text == "Hello."
