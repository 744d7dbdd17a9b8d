"""The line of one answered call: the person at one end, whatever is played at the other."""

import logging
import time
from collections.abc import Callable

import numpy as np

from outdial_sandbox.carrier.call_request import DetectionRequest
from outdial_sandbox.carrier.dialed_leg import DialedLeg
from outdial_sandbox.carrier.machine_detection import MachineDetector, Verdict
from outdial_sandbox.carrier.pacer import Pacer
from outdial_sandbox.carrier.playback import AudioSource
from outdial_sandbox.carrier.recording import Recorder, Recording
from outdial_sandbox.carrier.speech_timing import BotSpeech
from outdial_sandbox.people.behaviour import (
    FRAME_SAMPLES,
    Behaviour,
    Frame,
    HangUp,
)

_SILENCE: Frame = np.zeros(FRAME_SAMPLES, np.int16)
_SILENCE.flags.writeable = False

logger = logging.getLogger(__name__)


class CallAudio:
    """Moves 20 ms at each `tick`; its own clock counts frames since the answer."""

    quiet = False

    def __init__(self, behaviour: Behaviour, on_hang_up: Callable[[bool], None]) -> None:
        self.behaviour = behaviour
        self.bot_speech = BotSpeech()
        self._recorders: list[Recorder] = []
        self._pacer: Pacer | None = None
        self._key = 0
        self._source: AudioSource | None = None
        self._listener: Callable[[Frame], None] | None = None
        self._detector: MachineDetector | None = None
        self._on_verdict: Callable[[Verdict, float], None] | None = None
        self._on_hang_up = on_hang_up
        self._frames = 0
        self._over = False
        self.began_at = time.time()  # corrected by the first frame

    def start(self, pacer: Pacer) -> None:
        """The call was answered: `pacer` moves the line from now on."""
        self._pacer, self._key = pacer, pacer.add(self.tick)

    def play(self, source: AudioSource) -> None:
        """What the person hears from now on."""
        self._source = source

    def listen(self, listener: Callable[[Frame], None]) -> None:
        """Who gets what the person says from now on."""
        self._listener = listener

    def release(self, source: AudioSource) -> None:
        """Silence again, and nobody listening, unless another has taken the line since."""
        if self._source is source:
            self._source = None
            self._listener = None

    def record(self, recording: Recording) -> None:
        """Record both sides from now on."""
        self._recorders.append(Recorder(recording))

    def detect(self, request: DetectionRequest, told: Callable[[Verdict, float], None]) -> None:
        """Listen for a machine; `told` gets the verdict and the seconds it took."""
        self._detector, self._on_verdict = MachineDetector(request), told

    def end(self) -> None:
        """No frame passes any more; detection concludes, recordings are closed."""
        self._over = True
        if self._pacer is not None:
            self._pacer.remove(self._key)
        if self._detector is not None:
            self._conclude(self._detector.hung_up())
        for recorder in self._recorders:
            recorder.close()

    def tick(self) -> None:
        """Pass 20 ms each way."""
        if self._over:
            return
        if not self._frames:
            self.began_at = time.time()
        played = self._source.pull() if self._source else None
        said = self._said(_SILENCE if played is None else played)
        if said is None:
            return
        self._frames += 1
        # Somebody who was put through is not the bot.
        self.bot_speech.add(None if isinstance(self._source, DialedLeg) else played)
        for recorder in self._recorders:
            recorder.add(said, _SILENCE if played is None else played)
        self._judge(said)
        if self._listener is not None:
            self._listener(said)

    def _said(self, heard: Frame) -> Frame | None:
        """What the person answers; None when this was the end of the call."""
        try:
            said = self.behaviour.frame(heard)
        except Exception:
            # A fault of the sandbox's own must end this call visibly, not freeze the others.
            logger.exception("the person on the line failed")
            self._over = True
            self._on_hang_up(True)
            return None
        if isinstance(said, HangUp):
            self._over = True
            self._on_hang_up(False)
            return None
        return said

    def _judge(self, said: Frame) -> None:
        if self._detector is not None:
            self._conclude(self._detector.add(said))

    def _conclude(self, verdict: Verdict | None) -> None:
        if verdict is None or self._detector is None or self._on_verdict is None:
            return
        told, seconds = self._on_verdict, self._detector.seconds
        self._detector = self._on_verdict = None
        told(verdict, seconds)
