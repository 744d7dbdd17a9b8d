"""What answers when no person does: voicemail, a full mailbox, a fax."""

import random
from dataclasses import dataclass, field

import numpy as np

from outdial_sandbox.people.behaviour import (
    HANG_UP,
    SAMPLE_RATE,
    Answer,
    Frame,
    HangUp,
    MachineFacts,
    Utterance,
)
from outdial_sandbox.people.hearing import Ear
from outdial_sandbox.people.mouth import Mouth, Sound, speech, tone
from outdial_sandbox.people.talker import VOICES
from outdial_sandbox.people.voice import DEFAULT_RATE, Samples

_BEEP = tone(1000, 0.3)
_FAX_ANSWER = tone(2100, 3.0)  # CED, ITU-T T.30
_FAX_PAUSE = 1.5
_FAX_GIVES_UP = 35.0


@dataclass(frozen=True)
class Machine:
    """Plays a greeting; with `records` a beep and then it listens, else it hangs up.

    It stops recording after `silence` seconds without speech, or `longest` seconds in all.
    """

    key: str
    greeting: tuple[str, ...]
    records: bool = True
    answer: Answer = field(default_factory=lambda: Answer("machine", ring_seconds=3.0))
    silence: float = 10.0
    longest: float = 90.0

    def start(self, seed: int) -> "Recorder":
        """Synthesise the greeting."""
        chance = random.Random(seed)  # noqa: S311 - a script, not a secret
        voice = chance.choice(VOICES)
        sounds = [speech(line, voice, DEFAULT_RATE, chance) for line in self.greeting]
        return Recorder(self, sounds, Mouth(seed))


class Recorder:
    """One call to a machine. `machine.message_seconds` counts the speech after the beep."""

    def __init__(self, machine: Machine, greeting: list[Sound], mouth: Mouth) -> None:
        self.machine: MachineFacts | None = MachineFacts()
        self._kind = machine
        self._mouth = mouth
        self._ear = Ear()
        # Half a second to answer, a breath between sentences.
        self._program: list[Sound] = [_pause(0.5)]
        for sound in greeting:
            self._program += [sound, _pause(0.3)]
        self._facts = self.machine
        self._recording_since: float | None = None

    @property
    def utterances(self) -> list[Utterance]:
        """What was said so far."""
        return self._mouth.utterances

    def frame(self, heard: Frame) -> Frame | HangUp:
        """Play the greeting, then record."""
        self._ear.hear(heard)
        if not self._mouth.busy and self._program:
            self._mouth.say(self._program.pop(0))
        elif not self._mouth.busy and not self._goes_on():
            return HANG_UP
        return self._mouth.frame()

    def _goes_on(self) -> bool:
        """After the greeting: beep once, then listen."""
        if not self._kind.records:
            return False
        if self._facts is not None and self._facts.beep_at is None:
            self._facts.beep_at = self._mouth.now
            self._mouth.say(_BEEP)
            return True
        if self._recording_since is None:
            self._recording_since = self._ear.now
            self._ear.forget()
        if self._facts is not None:
            self._facts.message_seconds = self._ear.heard
        recorded = self._ear.now - self._recording_since
        silence = min(self._ear.silence, recorded)
        return silence < self._kind.silence and recorded < self._kind.longest


@dataclass(frozen=True)
class Fax:
    """A fax machine: its answer tone, again and again, until it gives up."""

    key: str = "fax"
    answer: Answer = field(default_factory=lambda: Answer("fax", ring_seconds=3.0))

    def start(self, seed: int) -> "FaxTone":
        """Warm up."""
        return FaxTone(Mouth(seed))


class FaxTone:
    """One call to a fax."""

    def __init__(self, mouth: Mouth) -> None:
        self.machine: MachineFacts | None = None
        self._mouth = mouth
        self._program = [_pause(0.5)]

    @property
    def utterances(self) -> list[Utterance]:
        """A fax says nothing."""
        return self._mouth.utterances

    def frame(self, heard: Frame) -> Frame | HangUp:  # noqa: ARG002 - it does not listen
        """Tone, pause, tone."""
        if not self._mouth.busy:
            if self._mouth.now >= _FAX_GIVES_UP:
                return HANG_UP
            if not self._program:
                self._program = [_FAX_ANSWER, _pause(_FAX_PAUSE)]
            self._mouth.say(self._program.pop(0))
        return self._mouth.frame()


def _pause(seconds: float) -> Sound:
    silence: Samples = np.zeros(int(seconds * SAMPLE_RATE), np.int16)
    return Sound(silence)
