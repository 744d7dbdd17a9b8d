"""How long a line has been silent, by its loudness: sooner and finer than Silero tells.

Silero goes on hearing a voice for 50 to 200 ms after its last sound, and knows of time in windows
of 32 ms. It says whether somebody speaks; this says since when nobody does. Plain arithmetic.
"""

import audioop

from outdial_media.twilio_frames import SAMPLE_RATE

PIECE_SECONDS = 0.01
_PIECE_BYTES = 2 * round(SAMPLE_RATE * PIECE_SECONDS)

QUIETER = 32
"""So many times (30 dB) softer than the speech before it, a sound is none: weak consonants are 20
dB below vowels. A line that is noisier than that is never silent by loudness."""

_FADES = 0.99
"""By each piece, of the level that speech had: to a half in 0.7 s."""


class LastSound:
    """Of one call."""

    def __init__(self) -> None:
        self._level = 0.0
        self.silent_seconds = 0.0
        """How long there was no sound, up to the newest."""

    def hear(self, pcm: bytes) -> None:
        """16-bit PCM at 8 kHz, in order."""
        for at in range(0, len(pcm), _PIECE_BYTES):
            piece = pcm[at : at + _PIECE_BYTES]
            loudness = audioop.rms(piece, 2)
            self._level = max(_FADES * self._level, loudness)
            if QUIETER * loudness > self._level:
                self.silent_seconds = 0.0
            else:
                self.silent_seconds += len(piece) / (2 * SAMPLE_RATE)
