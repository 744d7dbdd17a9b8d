"""Which words only say "I listen", and where even they are an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial_media.backchannel import (
    AFTER_QUESTION_SECONDS,
    LONGEST,
    backchannels,
    invites_answer,
)
from outdial_media.saying import Said, Saying

pytestmark = pytest.mark.unit

ENGLISH = backchannels("en-US", None)


@pytest.mark.parametrize(
    "text",
    ["Mm-hm.", "Mhm", "uh-huh", "Okay.", "Yeah, yeah.", "Oh, I see.", "All right.", "Got it!"],
)
def test_a_listener_s_words(text: str) -> None:
    assert ENGLISH.holds_only(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No.",
        "Stop.",
        "Wait.",
        "What?",
        "Hello?",
        "Sorry?",
        "Yes, but not on Monday.",
        "Okay, stop.",
        "uh-uh",
        "Mm-mm.",
        "I",
        "Right, who is this?",
        "Stop calling me.",
        "yeah yeah yeah yeah yeah yeah",
    ],
)
def test_words_that_want_something(text: str) -> None:
    assert not ENGLISH.holds_only(text)


@pytest.mark.parametrize(
    ("text", "may"),
    [("I", True), ("all", True), ("oh I", True), ("I want", False), ("no", False), ("", True)],
)
def test_an_unfinished_word_may_become_one(text: str, may: bool) -> None:
    assert ENGLISH.may_hold_only(text) is may


@pytest.mark.parametrize(
    ("language", "text", "listens"),
    [
        ("de-DE", "Ja, genau.", True),
        ("de-DE", "Natürlich", True),
        ("de-DE", "Nein.", False),
        ("de", "Moment.", False),
        ("es-MX", "Sí, claro.", True),
        ("es", "No.", False),
        ("fi-FI", "okay", False),
    ],
)
def test_languages(language: str, text: str, listens: bool) -> None:
    assert backchannels(language, None).holds_only(text) is listens


def test_a_template_s_own_words_replace_those_of_its_language() -> None:
    own = backchannels("en-US", ("roger that",))
    assert own.holds_only("Roger that!")
    assert not own.holds_only("okay")
    assert not backchannels("en-US", ()).phrases


WORDS = st.sampled_from(["okay", "I", "see", "yes", "no", "stop", "got", "it", "all", "right"])


@given(st.lists(WORDS, max_size=LONGEST + 1))
def test_every_beginning_of_a_backchannel_may_become_one(words: list[str]) -> None:
    if ENGLISH.holds_only(" ".join(words)):
        for length in range(1, len(words) + 1):
            assert ENGLISH.may_hold_only(" ".join(words[:length]))
    if ENGLISH.holds_only(" ".join(words)):
        assert not {"no", "stop"} & set(words)


STATEMENT = "Thank you, I have written that down for you."
QUESTION = "Is there anything else that you would like us to know about it?"


def said(text: str, words: str, *, seconds: float = 0.0) -> Said:
    """Heard up to the end of `words`."""
    pace = len(text) / seconds if seconds else 15.0
    saying = Saying(text, len(text) / pace, whole=True)
    return Said(saying, (text.index(words) + len(words)) / pace)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("I have", False),
        ("down for you.", False),
        ("anything", False),
        ("that you would", True),
        ("like us to know", True),
        ("about it?", True),
    ],
)
def test_words_in_the_second_half_of_a_question_answer_it(words: str, answer: bool) -> None:
    assert invites_answer(said(f"{STATEMENT} {QUESTION}", words)) is answer


def test_a_question_in_the_middle_can_be_answered_for_a_while() -> None:
    text = f"Are you Ann? {STATEMENT} {STATEMENT} {STATEMENT} Goodbye."
    assert invites_answer(said(text, "Ann?"))
    assert invites_answer(said(text, "written"))
    late = Said(Saying(text, len(text) / 15, whole=True), 12 / 15 + AFTER_QUESTION_SECONDS + 0.2)
    assert not invites_answer(late)


def test_what_is_said_as_the_agent_comes_to_its_end_is_for_it() -> None:
    assert invites_answer(said(STATEMENT, "down for you"))
    assert not invites_answer(said(STATEMENT, "Thank you,"))


def test_while_more_may_come_only_questions_count() -> None:
    coming = Saying(STATEMENT, 1.0, whole=False)
    assert not invites_answer(Said(coming, 2.9))
    assert invites_answer(Said(Saying(QUESTION, 1.0, whole=False), 4.2))


def test_a_filler_asks_nothing() -> None:
    assert not invites_answer(Said(Saying(), 0.0))


def test_a_fast_voice_is_measured_by_its_own_pace() -> None:
    text = f"{STATEMENT} {QUESTION}"
    assert not invites_answer(said(text, "anything", seconds=10.0))
    assert invites_answer(said(text, "anything", seconds=2.6))
