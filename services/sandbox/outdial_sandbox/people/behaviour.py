"""What a person on the telephone is, as the carrier sees one.

The carrier asks `people.who_answers(number, earlier_calls)`, plays the answer (ringing, busy, ...),
and for an answered call gives the person every 20 ms what the line carries and takes what the
person says. A person hears audio and nothing else.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.int16]

SAMPLE_RATE = 8000
FRAME_SAMPLES = 160  # 20 ms
FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE

AnswerKind = Literal[
    "person", "machine", "fax", "busy", "no_answer", "rejected", "failed", "invalid"
]
Intent = Literal[
    "hello",
    "confirm",
    "decline",
    "opt_out",
    "wrong_person",
    "callback",
    "human",
    "repeat",
    "hesitate",
    "backchannel",
    "bye",
    "machine",
    "screening",
    "menu",
]


@dataclass(frozen=True)
class Answer:
    """What the network does with a call to this number.

    person | machine | fax: picked up after `ring_seconds`; `start()` gives the behaviour.
    busy | rejected | failed: ends with `sip_code` after `ring_seconds`.
    no_answer: rings until the caller gives up (`ring_seconds` is infinite).
    invalid: the POST itself is refused with `error_code`.
    """

    kind: AnswerKind
    ring_seconds: float = 2.0
    sip_code: int | None = None
    error_code: int | None = None

    @property
    def picked_up(self) -> bool:
        """Whether somebody or something is on the line afterwards."""
        return self.kind in ("person", "machine", "fax")


@dataclass(frozen=True)
class Utterance:
    """Something said, in seconds since the answer. `ended` is where the last sample lies."""

    text: str
    intent: Intent | None
    started: float
    ended: float


@dataclass
class MachineFacts:
    """What an answering machine did. `message_seconds` counts speech heard after the beep."""

    beep_at: float | None = None
    message_seconds: float = 0.0


class HangUp:
    """Returned by `frame` instead of audio: the person has hung up."""


HANG_UP = HangUp()


class Behaviour(Protocol):
    """One answered call. `frame` is called every 20 ms from the answer on and never blocks."""

    machine: MachineFacts | None

    @property
    def utterances(self) -> list[Utterance]:
        """What was said to its end so far."""
        ...

    def frame(self, heard: Frame) -> Frame | HangUp:
        """Hear 20 ms of the line (silence if there is nothing), and say 20 ms."""
        ...


class Person(Protocol):
    """Who answers a number."""

    @property
    def key(self) -> str:
        """A short name for the ledger: `confirms`, `voicemail`."""
        ...

    @property
    def answer(self) -> Answer:
        """What the network does first."""
        ...

    def start(self, seed: int) -> Behaviour:
        """Get ready to talk: synthesises the speech of this call (call it in a thread)."""
        ...
