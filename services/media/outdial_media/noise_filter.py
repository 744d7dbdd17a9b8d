"""RNNoise in front of recogniser and voice activity, for templates that ask for it.

Off by default: recognisers are trained on noise, and it costs as much as the rest of a call.
pipecat 1.14's filter works at 48 kHz and gives its sound back in pieces of its own length; behind
it listeners get 20 ms at a time, as the line sends them.
"""

import importlib.util
from collections.abc import Awaitable, Callable, Sequence

from pipecat.audio.filters.base_audio_filter import BaseAudioFilter

from outdial_media.twilio_frames import SAMPLE_RATE

RNNOISE = "rnnoise"
PIECE_BYTES = 2 * SAMPLE_RATE * 20 // 1000

Listener = Callable[[bytes], Awaitable[None]]


def noise_filter_problem(name: str) -> str:
    """Why a template's filter is not to be had on this pod; empty if it is, or none is asked."""
    if name == RNNOISE and importlib.util.find_spec("pyrnnoise") is None:
        return 'rnnoise is not installed here: pip install "pipecat-ai[rnnoise]"'
    return ""


def make_filter(name: str) -> BaseAudioFilter | None:
    """A template's filter; None if it names none, or this pod does not have it."""
    if name != RNNOISE or noise_filter_problem(name):
        return None
    # Loads what few pods have: here, and not where a pod starts.
    from pipecat.audio.filters.rnnoise_filter import RNNoiseFilter

    return RNNoiseFilter()


class NoiseFiltered:
    """Hears for `listeners`: what it hands on has less noise, and comes some milliseconds later."""

    def __init__(self, noise_filter: BaseAudioFilter, listeners: Sequence[Listener]) -> None:
        self._filter = noise_filter
        self._listeners = listeners
        self._left = bytearray()
        self._started = False

    async def hear(self, pcm: bytes) -> None:
        """16-bit PCM."""
        if not self._started:
            self._started = True
            await self._filter.start(SAMPLE_RATE)
        self._left += await self._filter.filter(pcm)
        while len(self._left) >= PIECE_BYTES:
            piece = bytes(self._left[:PIECE_BYTES])
            del self._left[:PIECE_BYTES]
            for hear in self._listeners:
                await hear(piece)
