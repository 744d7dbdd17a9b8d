"""The encodings that Deepgram takes and gives: linear16 and mulaw."""

import numpy as np
import numpy.typing as npt

from outdial_sandbox.carrier import mulaw

Samples = npt.NDArray[np.int16]

ENCODINGS = ("linear16", "mulaw")
_RATES = range(8000, 48001)


class UnsupportedFormat(Exception):
    """The request names an encoding or a sample rate that is not spoken here."""


def checked(encoding: str, sample_rate: str) -> int:
    """The sample rate as a number; raises UnsupportedFormat."""
    if encoding not in ENCODINGS:
        raise UnsupportedFormat(f"Unsupported encoding {encoding!r}: use linear16 or mulaw.")
    if not sample_rate.isdecimal() or int(sample_rate) not in _RATES:
        raise UnsupportedFormat(f"Unsupported sample rate {sample_rate!r}: 8000 to 48000.")
    return int(sample_rate)


def decode(data: bytes, encoding: str) -> Samples:
    """Bytes of a stream as samples; a byte that is half a sample is dropped."""
    if encoding == "mulaw":
        return mulaw.decode(data)
    return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.int16)


def encode(samples: Samples, encoding: str) -> bytes:
    """Samples as bytes of a stream."""
    return mulaw.encode(samples) if encoding == "mulaw" else samples.astype("<i2").tobytes()
