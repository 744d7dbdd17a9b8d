"""Pauses in mid-sentence are told from whole answers by the words that were heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial_media.heard_words import HeardWords, heard_words

pytestmark = pytest.mark.unit

WHOLE_EN = """
Yes. | No. | Yes, please. | Seven. | Tuesday. | Speaking. | Hello? | Okay. | Sure. | Maybe.
Who is this? | This is she. | Yes, hello, this is she. | That's me. | It is. | I am. | We are.
I'd love to. | I don't want to. | I would. | I can't. | I don't think so. | I think so. | So do I.
Not very. | Hold on. | Go on. | Later on. | What is this about? | Where are you calling from?
Who am I speaking to? | I will be there. | Nine o'clock. | A quarter past nine. | In the morning.
Please send it to me. | That's fine with me. | Call me back tomorrow. | I have moved. | I see.
No, thank you. | Take me off your list. | That is what I want. | Three. | Nineteen eighty four.
Five five five, one two three four. | Four one five, five five five, one two three four.
One two three four. | I have to work on that day. | How long will it take? | You have to.
Only in the afternoon. | My wife would know. | Is that too late for you? | How are you?
"""
UNFINISHED_EN = """
I would like to come on | My number is | Well, let me see, | Can I come on Monday or | I have to ask
The name of my doctor is | I will be there at | It depends on | We could do it on Wednesday, but
I am calling because | I'd like to | I'd like to. | Can you | Could you | I want | I need
So I was thinking that maybe on the | Yes, but I | Um | And | It's um | Is there | I'm looking
Five five five | My number is four one five. | Four one five, five five five,
No, the other one, | At half past | Thank you very | I want to ask | I'm calling
"""
WHOLE_DE = """
Ja. | Nein. | Ja, bitte. | Am Apparat. | Das stimmt. | Wer ist da? | Am Dienstag. | Ich rufe an.
Ich komme mit. | Sieben. | Halb neun. | Was kostet das? | Null sechs neun, eins zwei drei vier.
"""
UNFINISHED_DE = """
Ich möchte | Ich hätte gern | Meine Nummer ist | Können Sie | Ja, aber ich | Ich komme am
Eins zwei drei | Das geht, weil | Gibt es
"""
WHOLE_ES = """
Sí. | No. | Sí, claro. | Soy yo. | ¿Quién habla? | El martes. | Mañana por la mañana. | Siete.
"""
UNFINISHED_ES = """
Quisiera | Mi número es | Tengo que preguntar | Voy a | Me llamo | Uno dos tres | Pero yo
"""
DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _said(text: str) -> list[str]:
    return [part.strip() for line in text.split("\n") for part in line.split(" | ") if part.strip()]


def _cases(**lists: str) -> list[tuple[str, str]]:
    return [(language, text) for language, texts in lists.items() for text in _said(texts)]


@pytest.mark.parametrize(
    ("language", "text"), _cases(en=WHOLE_EN, de=WHOLE_DE, es=WHOLE_ES), ids=repr
)
def test_a_whole_answer_is_not_waited_on(language: str, text: str) -> None:
    assert heard_words(text, language) is HeardWords.WHOLE
    # Without the recogniser's punctuation nobody knows, but nothing is held up either.
    assert heard_words(text.strip(".?¿"), language) is not HeardWords.UNFINISHED or "?" in text


@pytest.mark.parametrize(
    ("language", "text"), _cases(en=UNFINISHED_EN, de=UNFINISHED_DE, es=UNFINISHED_ES), ids=repr
)
def test_a_pause_in_the_middle_is_waited_on(language: str, text: str) -> None:
    assert heard_words(text, language) is HeardWords.UNFINISHED
    # A recogniser that is made to hurry ends what it has with a full stop.
    assert heard_words(text.rstrip(",.") + ".", language) is HeardWords.UNFINISHED or "," in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", HeardWords.OPEN),
        ("no tak, to", HeardWords.OPEN),
        ("no tak, to,", HeardWords.UNFINISHED),
        ("yes,", HeardWords.OPEN),
        ("ano.", HeardWords.WHOLE),
    ],
)
def test_of_other_languages_only_punctuation_is_known(text: str, says: HeardWords) -> None:
    assert heard_words(text, "cs-CZ") is says


@given(st.text(max_size=40), st.sampled_from(["en", "de-DE", "es", "fi", ""]))
def test_a_question_is_never_waited_on(text: str, language: str) -> None:
    assert heard_words(f"{text} ok?", language) is HeardWords.WHOLE


@given(st.lists(st.sampled_from(DIGITS)))
def test_a_number_is_waited_on_in_its_middle_only(digits: list[str]) -> None:
    says = heard_words(f"it's number {' '.join(digits)}", "en")
    assert (says is HeardWords.UNFINISHED) == (len(digits) in {3, 6, 9})
