"""What the callers say and what the voices answer: real synthesised speech, known in advance.

A caller puts one quiet frame before each piece of speech: its *label*, 160 samples of 0 or 8 that
name call, turn and piece. No ear and no detector hears it, mu-law keeps it, and the stand-in for
Deepgram knows by it what the coming speech will be. The transcript carries the label on to model
and voice, so that each turn can be followed through all providers.
"""

import audioop
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from outdial_sandbox.people.voice import TELEPHONE_RATE, synthesise

FRAME_BYTES = 320  # 20 ms of 16-bit PCM at 8 kHz
FRAME_SECONDS = 0.02
LOUD = 400
"""A frame whose largest sample is above this is heard (speech is levelled to an RMS of 3000)."""

CALLER_VOICE, AGENT_VOICE = "en-us+f3", "en-us"
_LABEL_LEVEL = 8
_MAGIC = (1, 0, 1, 1, 0, 0, 1, 0)

GREETING = "Hello, this is Ada, an automated assistant, calling for the clinic."
REPLY = (
    "Thank you, I have written that down for you. "
    "Is there anything else that you would like us to know about it?"
)
SENTENCES = (
    "I would like to come on Monday at ten o'clock.",
    "Could you tell me where your office is?",
    "My doctor asked me to bring the papers along.",
    "Nine o'clock is too early for me.",
    "What should I bring with me to the appointment?",
    "Please send me a message with the address.",
)


@dataclass(frozen=True)
class Label:
    """Names a piece of speech: `text` is written into transcripts and replies."""

    call: int
    turn: int
    piece: int = 0

    @property
    def text(self) -> str:
        """A word that survives every provider."""
        return f"c{self.call}t{self.turn}"

    def frame(self) -> bytes:
        """20 ms that carry it."""
        bits = _MAGIC + tuple(
            (value >> bit) & 1
            for value, width in ((self.call, 16), (self.turn, 8), (self.piece, 8))
            for bit in range(width)
        )
        samples = np.zeros(FRAME_BYTES // 2, np.int16)
        samples[: len(bits)] = np.array(bits, np.int16) * _LABEL_LEVEL
        return samples.tobytes()


def read_label(pcm: bytes) -> Label | None:
    """The label that a frame carries, if it is one."""
    if audioop.max(pcm, 2) != _LABEL_LEVEL:
        return None
    bits = [int(sample > 0) for sample in np.frombuffer(pcm[:80], np.int16)]
    if tuple(bits[:8]) != _MAGIC:
        return None

    def number(at: int, width: int) -> int:
        return sum(bits[at + bit] << bit for bit in range(width))

    return Label(number(8, 16), number(24, 8), number(32, 8))


def labels_in(text: str) -> list[tuple[int, int]]:
    """(call, turn) of every label that a text carries, in order."""
    return [(int(call), int(turn)) for call, turn in re.findall(r"\bc(\d+)t(\d+)\b", text)]


def without_labels(text: str) -> str:
    """The words that are spoken."""
    return re.sub(r"\s*\bc\d+t\d+\b", "", text).strip()


@lru_cache(maxsize=512)
def spoken(text: str, voice: str) -> bytes:
    """16-bit PCM at 8 kHz in whole frames, loud from its first to its last."""
    pcm: bytes = synthesise(text, voice, sample_rate=TELEPHONE_RATE).tobytes()
    return pcm + bytes(-len(pcm) % FRAME_BYTES)


def frames_of(pcm: bytes) -> list[bytes]:
    """20 ms each."""
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]


def is_loud(pcm: bytes) -> bool:
    """Whether it is heard."""
    return bool(audioop.max(pcm, 2) > LOUD)
