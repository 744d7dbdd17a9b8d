"""The line of an answered call, as whatever plays on it or listens to it sees it."""

from collections.abc import Callable
from typing import Protocol

from outdial_sandbox.carrier.call_request import DetectionRequest
from outdial_sandbox.carrier.machine_detection import Verdict
from outdial_sandbox.carrier.pacer import Pacer
from outdial_sandbox.carrier.playback import AudioSource
from outdial_sandbox.carrier.recording import Recording
from outdial_sandbox.people.behaviour import Frame


class Line(Protocol):
    """`CallAudio` moves 20 ms at a time; `QuietLine` (quiet) carries nothing and costs nothing."""

    quiet: bool

    def start(self, pacer: Pacer) -> None:
        """The call was answered."""
        ...

    def play(self, source: AudioSource) -> None:
        """What the person hears from now on."""
        ...

    def listen(self, listener: Callable[[Frame], None]) -> None:
        """Who gets what the person says from now on."""
        ...

    def release(self, source: AudioSource) -> None:
        """Silence again, unless another has taken the line since."""
        ...

    def record(self, recording: Recording) -> None:
        """Record both sides from now on."""
        ...

    def detect(self, request: DetectionRequest, told: Callable[[Verdict, float], None]) -> None:
        """Judge who answered; `told` gets the verdict and the seconds it took."""
        ...

    def end(self) -> None:
        """The call is over."""
        ...
