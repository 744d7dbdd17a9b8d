"""What people say can be told apart, and where speech begins and ends is found."""

import numpy as np
import pytest

from outdial_sandbox.people.phrases import all_phrases, spoken_text
from outdial_sandbox.people.voice import Samples, synthesise
from outdial_sandbox.providers.endpointing import Ended, Endpointer, Piece, Started

pytestmark = pytest.mark.unit


def on_a_line(speech: Samples) -> Samples:
    """Half a second of line before, a second after, faint noise on it."""
    line = np.concatenate([np.zeros(4000), speech, np.zeros(8000)])
    return (line + np.random.default_rng(5).normal(0, 20, len(line))).astype(np.int16)


def test_phrases_differ_and_have_no_pause() -> None:
    texts = [spoken_text(phrase) for phrase in all_phrases()]
    assert len(set(texts)) == len(texts)
    for phrase in all_phrases():
        assert "," not in spoken_text(phrase)


def test_endpointing_tells_beginning_pause_and_end() -> None:
    line = on_a_line(synthesise("Yes that is right"))
    endpointer = Endpointer(8000, 0.5)
    events = [e for at in range(0, len(line), 160) for e in endpointer.feed(line[at : at + 160])]
    assert [type(e) for e in events] == [Started, Piece, Ended]
    started, piece, ended = events
    assert isinstance(started, Started)
    assert isinstance(piece, Piece)
    assert isinstance(ended, Ended)
    assert started.at == pytest.approx(0.5, abs=0.1)
    assert piece.began == pytest.approx(0.3, abs=0.1)
    assert ended.at < len(line) / 8000


def test_flush_gives_what_is_being_said() -> None:
    line = on_a_line(synthesise("Yes that is right"))
    endpointer = Endpointer(8000, None)
    endpointer.feed(line[:9000])
    (piece,) = endpointer.flush()
    assert isinstance(piece, Piece)
    assert endpointer.flush() == []


def test_digital_silence_and_a_quiet_line_are_not_speech() -> None:
    endpointer = Endpointer(8000, 0.5)
    assert endpointer.feed(np.zeros(80000, np.int16)) == []
    noise = np.random.default_rng(0).normal(0, 40, 80000).astype(np.int16)
    assert endpointer.feed(noise) == []
