"""Keypad tones (DTMF, ITU-T Q.23): their frequencies, and an ear for them."""

import numpy as np

from outdial_sandbox.people.behaviour import FRAME_SAMPLES, SAMPLE_RATE, Frame

ROWS = (697, 770, 852, 941)
COLUMNS = (1209, 1336, 1477)
KEYS = ("123", "456", "789", "*0#")

_FRAMES = 2  # 40 ms: what Q.24 asks a tone to last at least, and enough to tell 697 from 770 Hz
_SAMPLES = _FRAMES * FRAME_SAMPLES
_LEAST_POWER = 300.0**2  # mean square, well above a quiet line's noise
_PURE = 0.7  # of the power lies in the two tones; speech stays below
_TWIST = 6.3  # 8 dB: how much stronger one tone may be than the other (Q.24)

# One row for each frequency: the Goertzel filters of a block, written as a matrix.
_FILTERS = np.exp(-2j * np.pi * np.outer(ROWS + COLUMNS, np.arange(_SAMPLES)) / SAMPLE_RATE)


class KeypadEar:
    """Hears which keys were pressed. A key is heard once, however long it is held."""

    def __init__(self) -> None:
        self._block = np.zeros(_SAMPLES)
        self._held = ""
        self._candidate = ""

    def hear(self, frame: Frame) -> str:
        """The key whose tone has just been made sure of (two blocks agree); empty if none."""
        self._block = np.concatenate([self._block[FRAME_SAMPLES:], frame.astype(np.float64)])
        key = _key_in(self._block)
        sure, self._candidate = key == self._candidate, key
        if not sure or key == self._held:
            return ""
        self._held = key
        return key


def _key_in(block: np.ndarray) -> str:
    power = float(np.dot(block, block)) / _SAMPLES
    if power < _LEAST_POWER:
        return ""
    tones = 2 * np.abs(_FILTERS @ block / _SAMPLES) ** 2  # mean square of each tone
    rows, columns = tones[: len(ROWS)], tones[len(ROWS) :]
    row, column = int(np.argmax(rows)), int(np.argmax(columns))
    low, high = float(rows[row]), float(columns[column])
    if low + high < _PURE * power or max(low, high) > _TWIST * min(low, high):
        return ""
    return KEYS[row][column]
