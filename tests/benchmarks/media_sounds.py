"""What a caller's line sounds like, as Twilio writes it: 20 ms of mu-law in base64."""

import audioop
import base64
from functools import lru_cache

import numpy as np

from media_speech import AGENT_VOICE, CALLER_VOICE, frames_of, spoken

RATE = 8000


@lru_cache(maxsize=512)
def payloads(text: str) -> tuple[str, ...]:
    """The frames of a caller's words, as Twilio writes them."""
    return tuple(payload_of(pcm) for pcm in frames_of(spoken(text, CALLER_VOICE)))


def payload_of(pcm: bytes) -> str:
    """A frame of 16-bit PCM, as Twilio writes it."""
    return base64.b64encode(audioop.lin2ulaw(pcm, 2)).decode()


@lru_cache(maxsize=1)
def noise() -> tuple[str, ...]:
    """0.4 s of a door: noise that swells and fades, as loud as quiet speech."""
    shape = np.hanning(int(0.4 * RATE))
    sound = np.random.default_rng(7).normal(0, 1200, len(shape)) * shape
    return tuple(payload_of(pcm) for pcm in frames_of(sound.astype(np.int16).tobytes()))


@lru_cache(maxsize=8)
def bot_seconds(text: str) -> float:
    """How long the bot takes to say it: sentences are spoken one by one."""
    parts = [part if part[-1] in "?." else part + "." for part in text.split(". ")]
    return sum(len(spoken(part, AGENT_VOICE)) for part in parts) / (2 * RATE)


@lru_cache(maxsize=1)
def quiet() -> tuple[str, ...]:
    """A second of what a quiet line sounds like: noise at -60 dB of full scale."""
    sound = np.random.default_rng(3).normal(0, 33, RATE)
    return tuple(payload_of(pcm) for pcm in frames_of(sound.astype(np.int16).tobytes()))
