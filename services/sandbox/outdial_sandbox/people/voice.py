"""Real speech: text in, telephone audio out, spoken by espeak-ng.

Everybody in the sandbox speaks with it: the people who are called, the carrier's `<Say>` and the
stand-in for Deepgram's voices. espeak-ng is GPL, so nothing outside the `sandbox` extra uses it.
"""

import ctypes
import math
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import espeakng_loader
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

TELEPHONE_RATE = 8000
DEFAULT_RATE = 165  # words a minute

# A telephone talker: about -20 dBFS while speaking, and peaks that mu-law still holds.
_SPEECH_RMS = 3000.0
_LARGEST_PEAK = 28000.0
_AUDIBLE = 100  # below this, espeak's lead-in and tail are not speech

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_PARAMETER_RATE = 1
_POSITION_CHARACTER = 1
_CHARS_UTF8 = 1

_SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class VoiceError(Exception):
    """espeak-ng could not be loaded, or does not know the voice asked for."""


class _Espeak:
    """The one espeak-ng library of this process. It keeps global state, hence the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library: Any = None
        self._sample_rate = 0
        self._chunks: list[bytes] = []
        # ctypes does not keep callbacks alive: the library would call into freed memory.
        self._callback: Callable[..., Any] = _SynthCallback(self._collect)

    def speak(self, text: str, voice: str, rate: int) -> tuple[Samples, int]:
        """The samples as espeak makes them, and their sample rate."""
        with self._lock:
            library = self._loaded()
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise VoiceError(f"espeak-ng knows no voice {voice!r}")
            library.espeak_SetParameter(_PARAMETER_RATE, rate, 0)
            self._chunks = []
            data = text.encode()
            library.espeak_Synth(
                data, len(data) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
            )
            return np.frombuffer(b"".join(self._chunks), dtype=np.int16), self._sample_rate

    def _loaded(self) -> Any:
        if self._library is None:
            library = ctypes.CDLL(espeakng_loader.get_library_path())
            data_path = espeakng_loader.get_data_path().encode()
            sample_rate = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path, 0)
            if sample_rate <= 0:
                raise VoiceError("espeak-ng did not start")
            library.espeak_SetSynthCallback(self._callback)
            self._library, self._sample_rate = library, sample_rate
        return self._library

    def _collect(self, samples: Any, count: int, _events: Any) -> int:
        if count > 0 and samples:
            self._chunks.append(ctypes.string_at(samples, count * 2))
        return 0


_espeak = _Espeak()


@lru_cache(maxsize=1024)
def synthesise(
    text: str, voice: str = "en-us", rate: int = DEFAULT_RATE, sample_rate: int = TELEPHONE_RATE
) -> Samples:
    """Speak `text`: mono 16-bit samples without silence at either end, at an even level.

    `voice` is an espeak-ng name (`en-us`, `en-us+f3`), `rate` is words a minute. About 6 ms a
    phrase. Within a process the same arguments give the same samples (the array is shared and
    read-only); another process says it with the same words, length and pitch, but espeak-ng's
    flutter begins elsewhere: tests compare what is heard, not samples.
    """
    spoken, spoken_rate = _espeak.speak(text, voice, rate)
    samples = _levelled(_trimmed(resample(spoken, spoken_rate, sample_rate)))
    samples.flags.writeable = False
    return samples


def resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Change the sample rate through a low-pass, so that nothing folds back into the speech."""
    if from_rate == to_rate or not len(samples):
        return samples.copy()
    divisor = math.gcd(from_rate, to_rate)
    up, down = to_rate // divisor, from_rate // divisor
    bank = _filter_bank(up, down)
    taps = bank.shape[1]
    positions = np.arange(math.ceil(len(samples) * up / down)) * down
    padded = np.concatenate(
        [np.zeros(taps // 2), samples.astype(np.float64), np.zeros(taps // 2 + 1)]
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    out = np.einsum("ij,ij->i", windows[positions // up], bank[positions % up])
    limited: Samples = np.clip(np.rint(out), -32768, 32767).astype(np.int16)
    return limited


@lru_cache(maxsize=16)
def _filter_bank(up: int, down: int) -> npt.NDArray[np.float64]:
    """One windowed-sinc filter for each of the `up` phases; a row sums to 1."""
    cutoff = min(1.0, up / down) * 0.95  # in units of the input's Nyquist frequency
    half = math.ceil(16 / cutoff)
    offsets = np.arange(-half, half)[None, :] - (np.arange(up) / up)[:, None]
    window = 0.42 + 0.5 * np.cos(np.pi * offsets / half) + 0.08 * np.cos(2 * np.pi * offsets / half)
    bank = np.sinc(offsets * cutoff) * np.where(np.abs(offsets) <= half, window, 0.0)
    return np.asarray(bank / bank.sum(axis=1, keepdims=True))


def _trimmed(samples: Samples) -> Samples:
    audible = np.flatnonzero(np.abs(samples.astype(np.int32)) > _AUDIBLE)
    if not len(audible):
        return samples[:0].copy()
    return samples[audible[0] : audible[-1] + 1].copy()


def _levelled(samples: Samples) -> Samples:
    if not len(samples):
        return samples
    values = samples.astype(np.float64)
    voiced = values[np.abs(values) > _AUDIBLE]
    if not len(voiced):
        return samples
    gain = _SPEECH_RMS / math.sqrt(float(np.mean(voiced**2)))
    gain = min(gain, _LARGEST_PEAK / float(np.max(np.abs(values))))
    return np.rint(values * gain).astype(np.int16)
