"""Recordings: a WAV that grows while the call goes on, and the resource that names it.

The file always has two channels: the first is the person called (what the network received from
them), the second is what was played to them. RecordingChannels=mono is mixed when it is fetched.
"""

import io
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from outdial_sandbox.carrier.call_request import RecordingRequest
from outdial_sandbox.carrier.identifiers import new_sid
from outdial_sandbox.people.behaviour import FRAME_SAMPLES, SAMPLE_RATE, Frame

_FRAMES_A_WRITE = 50  # a second's worth: 20 calls cost 20 writes a second


@dataclass
class Recording:
    """A recording as REST shows it. `status` is in-progress, completed or absent."""

    call_sid: str
    request: RecordingRequest
    path: Path
    sid: str = field(default_factory=lambda: new_sid("RE"))
    started_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    status: str = "in-progress"
    seconds: float = 0.0

    def wav(self) -> bytes:
        """The file as it is served: mixed to one channel if that was asked for."""
        if self.request.channels == 2:
            return self.path.read_bytes()
        with wave.open(str(self.path), "rb") as both:
            samples = np.frombuffer(both.readframes(both.getnframes()), dtype="<i2")
        mixed = samples.reshape(-1, 2).astype(np.int32).sum(axis=1)
        return wav_file(np.clip(mixed, -32768, 32767).astype(np.int16))


class Recorder:
    """Writes a recording as the call goes on. A killed process leaves a file that can be read."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        recording.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = wave.open(str(recording.path), "wb")  # noqa: SIM115
        self._file.setnchannels(2)
        self._file.setsampwidth(2)
        self._file.setframerate(SAMPLE_RATE)
        self._waiting: list[Frame] = []
        self._frames = 0
        self._closed = False

    def add(self, person: Frame, bot: Frame) -> None:
        """Append 20 ms of both."""
        if self._closed:
            return
        self._waiting.append(np.column_stack((person, bot)))
        self._frames += 1
        if len(self._waiting) >= _FRAMES_A_WRITE:
            self._write()

    def close(self) -> None:
        """Finish the file."""
        if self._closed:
            return
        self._closed = True
        self._write()
        self._file.close()
        self.recording.seconds = self._frames * FRAME_SAMPLES / SAMPLE_RATE
        self.recording.status = "completed" if self._frames else "absent"
        self.recording.updated_at = time.time()

    def _write(self) -> None:
        if self._waiting:
            data = np.concatenate(self._waiting).astype("<i2").tobytes()
            self._waiting.clear()
            self._file.writeframes(data)  # mends the header each time


def wav_file(samples: Frame, rate: int = SAMPLE_RATE) -> bytes:
    """Mono samples as a WAV file."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return data.getvalue()
