"""Tones: heard in a frame (beep, fax) and made for the line (keys)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from outdial_sandbox.people.behaviour import FRAME_SAMPLES, SAMPLE_RATE, Frame
from outdial_sandbox.people.keypad import COLUMNS, KEYS, ROWS

_WINDOW = np.hanning(FRAME_SAMPLES)
_BIN_HERTZ = SAMPLE_RATE / FRAME_SAMPLES
_PURE = 0.9  # of the power lies in one peak; vowels stay below


@dataclass(frozen=True)
class Heard:
    """One frame: its level (root mean square), and its frequency if it is a pure tone."""

    level: float
    tone: float | None


def listen(frame: Frame, audible: float) -> Heard:
    """Measure a frame. A frame below `audible` has no tone."""
    samples = frame.astype(np.float64)
    level = float(np.sqrt(np.dot(samples, samples) / len(samples)))
    return Heard(level, _tone(samples) if level >= audible else None)


def _tone(samples: npt.NDArray[np.float64]) -> float | None:
    power = np.abs(np.fft.rfft(samples * _WINDOW)) ** 2
    peak = int(np.argmax(power))
    near = power[max(peak - 2, 0) : peak + 3]
    if near.sum() < _PURE * power.sum():
        return None
    bins = np.arange(max(peak - 2, 0), max(peak - 2, 0) + len(near))
    return float(np.dot(near, bins) / near.sum() * _BIN_HERTZ)


def keys(digits: str) -> npt.NDArray[np.int16]:
    """Keypad tones for `digits`; `w` waits half a second, `W` a whole one."""
    pieces = [_key(digit) for digit in digits]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def _key(digit: str) -> npt.NDArray[np.int16]:
    if digit in "wW":
        return np.zeros(SAMPLE_RATE // (2 if digit == "w" else 1), np.int16)
    row = next(number for number, keypad in enumerate(KEYS) if digit in keypad)
    column = KEYS[row].index(digit)
    at = np.arange(SAMPLE_RATE // 10) / SAMPLE_RATE
    both = np.sin(2 * np.pi * ROWS[row] * at) + np.sin(2 * np.pi * COLUMNS[column] * at)
    return np.concatenate([(both * 6000).astype(np.int16), np.zeros(SAMPLE_RATE // 10, np.int16)])
