"""People who talk: a short script of moves, each waiting for something that is heard."""

import random
from dataclasses import dataclass, field

from outdial_sandbox.people.behaviour import HANG_UP, Answer, Frame, HangUp, MachineFacts, Utterance
from outdial_sandbox.people.hearing import Ear
from outdial_sandbox.people.mouth import QUIET_LINE, Mouth, Sound, speech
from outdial_sandbox.people.voice import DEFAULT_RATE

# Voices whose every phrase is recognised after mu-law; the seed of the call chooses one.
VOICES = ("en-us", "en-us+f1", "en-us+f2", "en-us+michael", "en-us+edward")

_AN_ANSWERABLE_SPEECH = 0.4  # seconds: less is a cough, not something to answer


@dataclass(frozen=True)
class AfterBot:
    """The bot has said something since our last words, and has been silent for `seconds`."""

    seconds: float = 0.8

    def is_now(self, ear: Ear, quiet_for: float) -> bool:
        """Whether it has come true."""
        waited = min(ear.silence, quiet_for)
        return ear.heard >= _AN_ANSWERABLE_SPEECH and waited >= self.seconds


@dataclass(frozen=True)
class WhileBot:
    """The bot has been speaking for `seconds` and still is."""

    seconds: float

    def is_now(self, ear: Ear, quiet_for: float) -> bool:  # noqa: ARG002
        """Whether it has come true."""
        return ear.speaking_for >= self.seconds


@dataclass(frozen=True)
class AfterOwn:
    """`seconds` after our own last words (or after the answer), whatever the bot does."""

    seconds: float

    def is_now(self, ear: Ear, quiet_for: float) -> bool:  # noqa: ARG002
        """Whether it has come true."""
        return quiet_for >= self.seconds


@dataclass(frozen=True)
class InSilence:
    """Nobody has said a word for `seconds`."""

    seconds: float

    def is_now(self, ear: Ear, quiet_for: float) -> bool:
        """Whether it has come true."""
        return min(ear.silence, quiet_for) >= self.seconds


@dataclass(frozen=True)
class AfterKey:
    """The key `key` was pressed."""

    key: str

    def is_now(self, ear: Ear, quiet_for: float) -> bool:  # noqa: ARG002
        """Whether it has come true."""
        return self.key in ear.keys


When = AfterBot | WhileBot | AfterOwn | InSilence | AfterKey


@dataclass(frozen=True)
class Move:
    """When `when` is heard, say the line `say`, and hang up `hang_up` seconds later if given.

    An optional move is left out when the move after it comes true first. `voice` is another
    speaker on the same line (a call screener, before its owner).
    """

    when: When
    say: str | None = None
    hang_up: float | None = None
    optional: bool = False
    voice: str | None = None


@dataclass(frozen=True)
class Talker:
    """A person with a script.

    `patience`: after so many seconds in which nobody spoke, they say hello, and then hang up;
    None waits for ever. `noise` is the standard deviation of their line's noise.
    """

    key: str
    moves: tuple[Move, ...]
    answer: Answer = field(default_factory=lambda: Answer("person"))
    patience: float | None = 9.0
    rate: int = DEFAULT_RATE
    noise: float = QUIET_LINE

    def start(self, seed: int) -> "Conversation":
        """Synthesise all of this call's speech."""
        chance = random.Random(seed)  # noqa: S311 - a script, not a secret
        voice = chance.choice(VOICES)
        sounds = tuple(
            speech(move.say, move.voice or voice, self.rate, chance) if move.say else None
            for move in self.moves
        )
        hello = speech("hello", voice, self.rate, chance)
        # Nobody answers to the millisecond.
        delay = chance.uniform(0.0, 0.2)
        return Conversation(self, sounds, hello, delay, Mouth(seed, self.noise))


class Conversation:
    """One call with a talker."""

    def __init__(
        self,
        talker: Talker,
        sounds: tuple[Sound | None, ...],
        hello: Sound,
        delay: float,
        mouth: Mouth,
    ) -> None:
        self.machine: MachineFacts | None = None
        self._talker = talker
        self._sounds = sounds
        self._hello: Sound | None = hello
        self._delay = delay
        self._mouth = mouth
        self._ear = Ear(keys=any(isinstance(move.when, AfterKey) for move in talker.moves))
        self._next = 0
        self._own_ended = 0.0
        self._hang_up_after: float | None = None

    @property
    def utterances(self) -> list[Utterance]:
        """What was said so far."""
        return self._mouth.utterances

    def frame(self, heard: Frame) -> Frame | HangUp:
        """Hear 20 ms, say 20 ms."""
        self._ear.hear(heard)
        if not self._mouth.busy:
            if self._is_leaving():
                return HANG_UP
            self._act()
        was_busy = self._mouth.busy
        said = self._mouth.frame()
        if was_busy and not self._mouth.busy:
            self._own_ended = self._mouth.now
            self._ear.forget()
        return said

    def _is_leaving(self) -> bool:
        return self._hang_up_after is not None and self._quiet_for() >= self._hang_up_after

    def _quiet_for(self) -> float:
        return self._mouth.now - self._own_ended

    def _act(self) -> None:
        if self._hang_up_after is not None:
            return
        number = self._due_move()
        if number is not None:
            self._next = number + 1
            self._make(self._talker.moves[number], self._sounds[number])
        elif self._is_impatient():
            self._lose_patience()

    def _due_move(self) -> int | None:
        """The next move if its moment has come, or one after it if those between are optional."""
        for number in range(self._next, len(self._talker.moves)):
            move = self._talker.moves[number]
            if move.when.is_now(self._ear, self._quiet_for() - self._delay):
                return number
            if not move.optional:
                return None
        return None

    def _make(self, move: Move, sound: Sound | None) -> None:
        self._hang_up_after = move.hang_up
        if sound is None:
            self._hang_up_after = self._quiet_for() + (move.hang_up or 0.0)
        else:
            self._mouth.say(sound)

    def _is_impatient(self) -> bool:
        patience = self._talker.patience
        return patience is not None and min(self._ear.silence, self._quiet_for()) >= patience

    def _lose_patience(self) -> None:
        if self._hello is None:
            self._hang_up_after = 0.0
            return
        self._mouth.say(self._hello)
        self._hello = None
