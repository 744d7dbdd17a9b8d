"""G.711 mu-law by table: one look-up a sample, whatever the direction."""

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]

SILENCE = 0xFF
_BIAS = 0x84
_CLIP = 32635


def _decoding_table() -> Pcm:
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4) & 0x07
    mantissa = (code & 0x0F).astype(np.int32)
    magnitude = (((mantissa << 3) + _BIAS) << exponent) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _encoding_table() -> npt.NDArray[np.uint8]:
    # Indexed by the sample's bits, so that int16 viewed as uint16 needs no arithmetic.
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    sign = np.where(samples < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(samples), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    codes: npt.NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return codes


_DECODE = _decoding_table()
_ENCODE = _encoding_table()


def decode(data: bytes | bytearray) -> Pcm:
    """Mu-law bytes as 16-bit samples."""
    return _DECODE[np.frombuffer(data, dtype=np.uint8)]


def encode(samples: Pcm) -> bytes:
    """16-bit samples as mu-law bytes."""
    return _ENCODE[np.ascontiguousarray(samples).view(np.uint16)].tobytes()
