"""Recognition really hears: every phrase, in the people's voices, after a telephone line."""

import numpy as np
import pytest

from outdial_sandbox.carrier import mulaw
from outdial_sandbox.people.phrases import all_phrases, spoken_text
from outdial_sandbox.people.talker import VOICES
from outdial_sandbox.people.voice import Samples, synthesise
from outdial_sandbox.providers.endpointing import Endpointer, Piece
from outdial_sandbox.providers.recognition import Recogniser

pytestmark = pytest.mark.integration

OTHER_SENTENCES = (
    "the quick brown fox jumps over the lazy dog",
    "a quarter past nine",
    "seven",
    "what is the weather like",
    "can I come at three o'clock",
    "John Smith speaking",
)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


def over_the_telephone(speech: Samples, noise: float = 20.0) -> Samples:
    """Half a second of line before, a second after, noise on it, through mu-law."""
    line = np.concatenate([np.zeros(4000), speech, np.zeros(8000)])
    line += np.random.default_rng(5).normal(0, noise, len(line))
    return mulaw.decode(mulaw.encode(np.clip(line, -32768, 32767).astype(np.int16)))


def pieces_of(line: Samples) -> list[Piece]:
    endpointer = Endpointer(8000, 0.7)
    events = [e for at in range(0, len(line), 160) for e in endpointer.feed(line[at : at + 160])]
    return [event for event in events if isinstance(event, Piece)]


def heard(recogniser: Recogniser, line: Samples) -> str:
    found = [recogniser.recognise(p.samples, 8000, p.floor) for p in pieces_of(line)]
    return " ".join(word.punctuated for one in found for word in one.words)


@pytest.mark.parametrize("voice", VOICES)
def test_every_phrase_is_recognised(recogniser: Recogniser, voice: str) -> None:
    wrong = {
        phrase.text: said
        for phrase in all_phrases()
        if (said := heard(recogniser, over_the_telephone(synthesise(spoken_text(phrase), voice))))
        != phrase.text
    }
    assert not wrong


@pytest.mark.parametrize("voice", VOICES[:3])
def test_a_noisy_line_is_understood_or_not_but_never_misheard(
    recogniser: Recogniser, voice: str
) -> None:
    said = {
        phrase.text: heard(
            recogniser, over_the_telephone(synthesise(spoken_text(phrase), voice), noise=100)
        )
        for phrase in all_phrases()
    }
    misheard = {text: got for text, got in said.items() if got and got != text}
    assert not misheard
    assert sum(got == text for text, got in said.items()) >= 0.9 * len(said)


def test_most_other_sentences_are_an_empty_transcript(recogniser: Recogniser) -> None:
    lines = [over_the_telephone(synthesise(s, v)) for s in OTHER_SENTENCES for v in VOICES]
    understood = [said for line in lines if (said := heard(recogniser, line))]
    assert len(understood) <= 0.15 * len(lines), understood


@pytest.mark.parametrize("hertz", [440, 1000, 2100])
def test_tones_are_no_words(recogniser: Recogniser, hertz: int) -> None:
    tone = (8000 * np.sin(2 * np.pi * hertz * np.arange(16000) / 8000)).astype(np.int16)
    assert heard(recogniser, over_the_telephone(tone)) == ""


def test_words_carry_their_times(recogniser: Recogniser) -> None:
    line = over_the_telephone(synthesise("Stop calling me"))
    (piece,) = pieces_of(line)
    words = recogniser.recognise(piece.samples, 8000, piece.floor).words
    assert [word.word for word in words] == ["stop", "calling", "me"]
    starts = [piece.began + word.start for word in words]
    assert starts == sorted(starts)
    assert starts[0] == pytest.approx(0.5, abs=0.15)


def test_the_same_phrase_again_is_the_same_result(recogniser: Recogniser) -> None:
    line = over_the_telephone(synthesise("Please call me tomorrow"))
    first = heard(recogniser, line)
    heard(recogniser, over_the_telephone(synthesise("Yes")))
    assert heard(recogniser, line) == first == "Please call me tomorrow."
