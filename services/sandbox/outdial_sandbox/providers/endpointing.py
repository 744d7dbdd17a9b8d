"""Where speech begins, pauses and ends in a stream of samples, by energy. Pure.

A *piece* is speech up to a short pause: it is recognised as soon as that pause is there, so that a
`Finalize` a moment later finds its words waiting. An *end* is the longer silence after which the
utterance is over (Deepgram's `endpointing`).
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

_FRAME_SECONDS = 0.02
_ONSET_FRAMES = 2
_PIECE_GAP = 0.22  # the stops inside words are shorter
_LEAD_IN = 0.2  # kept before the onset: soft consonants lie below the threshold
_LONGEST_PIECE = 15.0

_LEAST_THRESHOLD = 220.0  # root mean square of 16-bit samples
_ABOVE_FLOOR = 2.5
_FIRST_FLOOR = 60.0
_FLOOR_PACE = 0.05


@dataclass(frozen=True)
class Started:
    """Speech began, `at` seconds into the stream."""

    at: float


@dataclass(frozen=True)
class Piece:
    """Speech with a pause after it; `began` is the stream's time of its first sample."""

    samples: Samples
    began: float
    floor: float  # the line's noise around it (root mean square)


@dataclass(frozen=True)
class Ended:
    """The silence after speech has lasted long enough, `at` seconds into the stream."""

    at: float


Event = Started | Piece | Ended


class Endpointer:
    """Follows one stream. `endpointing` is seconds of silence; None never ends an utterance."""

    def __init__(self, sample_rate: int, endpointing: float | None) -> None:
        self._rate = sample_rate
        self._endpointing = endpointing
        self._frame_samples = int(sample_rate * _FRAME_SECONDS)
        self._rest: Samples = np.zeros(0, np.int16)
        self._lead_in: deque[Samples] = deque(maxlen=round(_LEAD_IN / _FRAME_SECONDS))
        self._frames: list[Samples] = []
        self._floor = _FIRST_FLOOR
        self._loud_run = 0
        self._silence = 0.0
        self._in_piece = False
        self._in_utterance = False
        self._piece_began = 0.0
        self.now = 0.0  # seconds of audio taken

    def feed(self, samples: Samples) -> list[Event]:
        """Take the next samples; say what happened in them, in order."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // self._frame_samples * self._frame_samples
        self._rest = samples[whole:]
        events: list[Event] = []
        for frame in samples[:whole].reshape(-1, self._frame_samples):
            events += self._frame(frame)
        return events

    def flush(self) -> list[Event]:
        """Do not wait for a pause: give what is being said as a piece, and end the utterance."""
        events: list[Event] = [self._close_piece()] if self._in_piece else []
        self._in_utterance = False
        return events

    def _frame(self, frame: Samples) -> list[Event]:
        self.now += _FRAME_SECONDS
        values = frame.astype(np.float64)
        level = float(np.sqrt(np.dot(values, values) / len(values)))
        loud = level > max(_LEAST_THRESHOLD, self._floor * _ABOVE_FLOOR)
        if not loud:
            self._floor += (level - self._floor) * _FLOOR_PACE
        return self._in_speech(frame, loud) if self._in_piece else self._in_pause(frame, loud)

    def _in_pause(self, frame: Samples, loud: bool) -> list[Event]:
        self._lead_in.append(frame)
        self._loud_run = self._loud_run + 1 if loud else 0
        self._silence += _FRAME_SECONDS
        if self._loud_run >= _ONSET_FRAMES:
            return self._open_piece()
        if (
            self._in_utterance
            and self._endpointing is not None
            and self._silence >= self._endpointing
        ):
            self._in_utterance = False
            return [Ended(self.now)]
        return []

    def _open_piece(self) -> list[Event]:
        self._frames = list(self._lead_in)
        self._lead_in.clear()
        self._piece_began = self.now - len(self._frames) * _FRAME_SECONDS
        self._in_piece, self._silence = True, 0.0
        if self._in_utterance:
            return []
        self._in_utterance = True
        return [Started(self.now - _ONSET_FRAMES * _FRAME_SECONDS)]

    def _in_speech(self, frame: Samples, loud: bool) -> list[Event]:
        self._frames.append(frame)
        self._silence = 0.0 if loud else self._silence + _FRAME_SECONDS
        too_long = len(self._frames) * _FRAME_SECONDS >= _LONGEST_PIECE
        if self._silence >= _PIECE_GAP - 1e-9 or too_long:
            return [self._close_piece()]
        return []

    def _close_piece(self) -> Piece:
        piece = Piece(np.concatenate(self._frames), self._piece_began, self._floor)
        self._frames = []
        self._in_piece, self._loud_run = False, 0
        return piece
