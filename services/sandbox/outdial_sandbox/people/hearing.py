"""What a person notices of the line: that somebody speaks, for how long, and that they stopped."""

import numpy as np

from outdial_sandbox.people.behaviour import FRAME_SECONDS, Frame
from outdial_sandbox.people.keypad import KeypadEar

_LOUD = 200.0  # root mean square: well above comfort noise, well below speech
_ATTACK_FRAMES = 3  # a click is shorter than 60 ms
_SAME_SPEECH = 0.5  # seconds: a gap shorter than this lies within one speech


class Ear:
    """Follows the energy of what comes down the line, 20 ms at a time. Times are in seconds."""

    def __init__(self, *, keys: bool = False) -> None:
        self.now = 0.0
        self._loud_frames = 0
        self._began: float | None = None
        self._last_loud: float | None = None
        self._heard = 0.0
        self._keypad = KeypadEar() if keys else None
        self.keys = ""
        """Keys that were pressed so far, where somebody listens for them."""

    def hear(self, frame: Frame) -> None:
        """Take the next frame."""
        self.now += FRAME_SECONDS
        if self._keypad is not None:
            self.keys += self._keypad.hear(frame)
        if not _is_loud(frame):
            self._loud_frames = 0
            return
        self._loud_frames += 1
        if self._loud_frames < _ATTACK_FRAMES:
            return
        self._notice()

    def _notice(self) -> None:
        gap = self.now - self._last_loud if self._last_loud is not None else _SAME_SPEECH
        if gap >= _SAME_SPEECH:
            self._began = self.now - _ATTACK_FRAMES * FRAME_SECONDS
            self._heard += _ATTACK_FRAMES * FRAME_SECONDS
        else:
            self._heard += gap
        self._last_loud = self.now

    def forget(self) -> None:
        """Start counting `heard` anew: what came before has been answered."""
        self._heard = 0.0

    @property
    def heard(self) -> float:
        """Speech since the last `forget`, short gaps included."""
        return self._heard

    @property
    def silence(self) -> float:
        """Since speech was last heard; since the beginning if none was."""
        return self.now - (self._last_loud or 0.0)

    @property
    def speaking_for(self) -> float:
        """How long the present speech has gone on; 0 if nobody speaks."""
        if self._began is None or self._last_loud is None or self.silence >= _SAME_SPEECH:
            return 0.0
        return self._last_loud - self._began


def _is_loud(frame: Frame) -> bool:
    values = frame.astype(np.float64)
    return float(np.dot(values, values)) > _LOUD * _LOUD * len(frame)
