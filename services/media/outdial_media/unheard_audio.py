"""What the person said that no transcript covers yet: a recogniser that is lost hears it again.

Times are seconds of one recogniser's stream, which begins anew with each connection.
"""

from outdial_media.twilio_frames import SAMPLE_RATE

BYTES_A_SECOND = 2 * SAMPLE_RATE
LONGEST_SECONDS = 30


class UnheardAudio:
    """16-bit PCM in the order in which it was sent; what is too old is forgotten."""

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._began = 0  # where `_pcm` begins in the stream, in bytes

    @property
    def seconds(self) -> float:
        """How much there is."""
        return len(self._pcm) / BYTES_A_SECOND

    @property
    def heard_to(self) -> float:
        """Up to where the stream is transcribed, or forgotten."""
        return self._began / BYTES_A_SECOND

    def sent(self, pcm: bytes) -> None:
        """Keep sound until it is transcribed."""
        self._pcm += pcm
        self.keep_last(LONGEST_SECONDS)

    def heard_until(self, seconds: float) -> None:
        """A transcript covers the stream up to here."""
        end = 2 * round(seconds * SAMPLE_RATE)
        self._drop(end - self._began)

    def keep_last(self, seconds: float) -> None:
        """Forget what is older: nobody spoke, or too long ago."""
        self._drop(len(self._pcm) - 2 * round(seconds * SAMPLE_RATE))

    def again(self) -> bytes:
        """All of it, to be sent as the beginning of a new stream."""
        self._began = 0
        return bytes(self._pcm)

    def _drop(self, length: int) -> None:
        length = min(length, len(self._pcm))
        if length > 0:
            del self._pcm[:length]
            self._began += length
