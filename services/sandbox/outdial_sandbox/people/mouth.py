"""What one end of the line says: speech and tones, prepared before the call, over a faint noise."""

import random
from dataclasses import dataclass

import numpy as np

from outdial_sandbox.people.behaviour import (
    FRAME_SAMPLES,
    FRAME_SECONDS,
    SAMPLE_RATE,
    Frame,
    Intent,
    Utterance,
)
from outdial_sandbox.people.phrases import LINES, spoken_text
from outdial_sandbox.people.voice import Samples, synthesise

QUIET_LINE = 20.0  # standard deviation of a quiet line's noise, in 16-bit units
_NOISE_SECONDS = 3


@dataclass(frozen=True)
class Sound:
    """Samples ready to be said, with their words. Tones have none."""

    samples: Samples
    text: str = ""
    intent: Intent | None = None

    @property
    def seconds(self) -> float:
        """How long it takes to say."""
        return len(self.samples) / SAMPLE_RATE


def speech(line: str, voice: str, rate: int, chance: random.Random) -> Sound:
    """One of the line's wordings, spoken."""
    phrase = chance.choice(LINES[line])
    return Sound(synthesise(spoken_text(phrase), voice, rate), phrase.text, phrase.intent)


def tone(hertz: float, seconds: float, amplitude: float = 8000.0) -> Sound:
    """A pure tone: a beep, a fax machine."""
    times = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return Sound((amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.int16))


class Mouth:
    """Says one sound at a time and keeps what was said."""

    def __init__(self, seed: int, noise: float = QUIET_LINE) -> None:
        self.utterances: list[Utterance] = []
        self._noise = np.random.default_rng(seed).normal(0, noise, _NOISE_SECONDS * SAMPLE_RATE)
        self._frames = 0
        self._sound: Sound | None = None
        self._position = 0

    @property
    def now(self) -> float:
        """Seconds since the answer, up to the frame about to be said."""
        return self._frames * FRAME_SECONDS

    @property
    def busy(self) -> bool:
        """Whether something is being said."""
        return self._sound is not None

    def say(self, sound: Sound) -> None:
        """Begin with the next frame."""
        self._sound, self._position = sound, 0

    def frame(self) -> Frame:
        """The next 20 ms."""
        offset = (self._frames * FRAME_SAMPLES) % len(self._noise)
        values = self._noise[offset : offset + FRAME_SAMPLES].copy()
        self._frames += 1
        if self._sound is not None:
            part = self._sound.samples[self._position : self._position + FRAME_SAMPLES]
            values[: len(part)] += part
            self._position += FRAME_SAMPLES
            if self._position >= len(self._sound.samples):
                self._finish(self._sound, (self._frames - 1) * FRAME_SECONDS, len(part))
        return np.clip(values, -32768, 32767).astype(np.int16)

    def _finish(self, sound: Sound, frame_began: float, samples: int) -> None:
        self._sound = None
        if sound.text:
            ended = frame_began + samples / SAMPLE_RATE
            started = ended - sound.seconds
            self.utterances.append(Utterance(sound.text, sound.intent, started, ended))
