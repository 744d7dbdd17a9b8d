"""One Silero and one Smart Turn session a process, shared by all its calls.

Pipecat 1.14 loads both for every call: 22 MB and 50 ms in which every other call stutters. Silero
keeps its recurrent state outside the session and Smart Turn has none, so a session can be shared.
`tests/unit/media/test_shared_models.py` fails if upstream changes what is relied on here.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import structlog
from numpy.typing import NDArray
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn, SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.metrics.metrics import MetricsData

from outdial.domain.call_template import Turns
from outdial_media.twilio_frames import SAMPLE_RATE
from outdial_media.voice_activity import SharedSilero, WindowsTogether

_log = structlog.get_logger(__name__)

SHORT_SPEECH_SECONDS = 0.8
SHORT_SPEECH_PROBABILITY = 0.005
"""Smart Turn hesitates at "no" and "hello?" (0.01 to 0.2), which are whole answers on the
telephone: so little speech is a turn unless the model is as good as sure that it is not."""


_GIVES_WAY = 10
"""How much nicer than the loop the judging thread is (see nice(2)). On one core the two
would share it by halves: all calls' sound would wait for one call's judgement, which is not in a
hurry while the recogniser's words are on their way."""


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere it is the whole process that would
        os.nice(_GIVES_WAY)


class SharedModels:
    """Loads the sessions once; hands each call its own small analyzers around them."""

    def __init__(self) -> None:
        self._windows = WindowsTogether(SileroVADAnalyzer()._model.session)  # noqa: SLF001
        self._smart_turn = LocalSmartTurnAnalyzerV3()
        # One thread for all: turns end rarely, and inference must not stop the loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="smart-turn", initializer=_give_way)

    def warm_up(self) -> None:
        """Run each model once, so that the first call does not pay for it."""
        vad = self.voice_activity(Turns())
        vad.set_sample_rate(SAMPLE_RATE)
        vad.voice_confidence(bytes(2 * vad.num_frames_required()))
        self.endpoint_probability(np.zeros(SAMPLE_RATE, dtype=np.float32), SAMPLE_RATE)

    def voice_activity(self, turns: Turns) -> SharedSilero:
        """A call's detector of speech."""
        return SharedSilero(
            self._windows,
            VADParams(
                confidence=turns.vad_threshold,
                start_secs=turns.start_ms / 1000,
                stop_secs=turns.silence_ms / 1000,
            ),
        )

    def turn_end(self, turns: Turns) -> "SharedSmartTurn":
        """A call's judge of whether a turn is over."""
        wait = max(0.0, turns.smart_turn_max_ms - turns.silence_ms) / 1000
        return SharedSmartTurn(self, SmartTurnParams(stop_secs=wait), turns)

    def endpoint_probability(self, audio: NDArray[np.float32], sample_rate: int) -> float:
        """How likely it is that the speech in `audio` is complete. Takes 45 ms of a core."""
        self._smart_turn.set_sample_rate(sample_rate)
        return float(self._smart_turn._predict_endpoint(audio)["probability"])  # noqa: SLF001

    @property
    def thread(self) -> ThreadPoolExecutor:
        """Where Smart Turn runs."""
        return self._thread

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class SharedSmartTurn(BaseSmartTurn):
    """Smart Turn for one call.

    It judges beside the call, which hears and is heard meanwhile: when many turns end at once, the
    last of them is judged late, and the recogniser's words may be there before.
    """

    def __init__(self, models: SharedModels, params: SmartTurnParams, turns: Turns) -> None:
        super().__init__(params=params)
        self._models = models
        self._turns = turns
        self._speech_samples = 0
        self._judging: asyncio.Future[tuple[EndOfTurnState, MetricsData | None]] | None = None
        self.judgement = 0
        """Counts what makes older judgements void: voice, the end of a turn, a newer one."""
        self.on_over: Callable[[int], None] = lambda _: None
        """Called on the loop: the turn sounds over, by the judgement of this number."""

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        """Count speech as it comes, beside what upstream does."""
        if is_speech:
            self._void()
            self._speech_samples += len(buffer) // 2
        return super().append_audio(buffer, is_speech)

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, MetricsData | None]:
        """Begin to judge; `on_over` tells. With Smart Turn off, silence alone ends a turn."""
        if not self._turns.smart_turn:
            self._clear(EndOfTurnState.COMPLETE)
            return EndOfTurnState.COMPLETE, None
        self._void()
        number, sound = self.judgement, list(self._audio_buffer)
        self._judging = asyncio.get_running_loop().run_in_executor(
            self._models.thread, self._process_speech_segment, sound
        )
        self._judging.add_done_callback(lambda done: self._judged(number, len(sound), done))
        return EndOfTurnState.INCOMPLETE, None

    def _judged(
        self,
        number: int,
        pieces: int,
        done: "asyncio.Future[tuple[EndOfTurnState, MetricsData | None]]",
    ) -> None:
        if done.cancelled() or number != self.judgement:
            return
        if (error := done.exception()) is not None:
            _log.error("smart_turn_failed", exc_info=error)  # silence will end the turn
        elif done.result()[0] == EndOfTurnState.COMPLETE:
            since = self._audio_buffer[pieces:]  # perhaps the beginning of what is said next
            self._clear(EndOfTurnState.COMPLETE)
            self._audio_buffer = since
            self.on_over(self.judgement)

    async def cleanup(self) -> None:
        """The call is over."""
        self._void()
        await super().cleanup()

    def _void(self) -> None:
        self.judgement += 1
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None

    def _clear(self, turn_state: EndOfTurnState) -> None:
        super()._clear(turn_state)
        if turn_state == EndOfTurnState.COMPLETE:
            self._void()
            self._speech_samples = 0

    def _predict_endpoint(self, audio_array: NDArray[np.float32]) -> dict[str, object]:
        probability = self._models.endpoint_probability(audio_array, self.sample_rate)
        return {"prediction": int(probability > self._threshold()), "probability": probability}

    def _threshold(self) -> float:
        # Voice activity reports speech late, and reports it until it has been silent for so long.
        late = (self._turns.start_ms - self._turns.silence_ms) / 1000
        spoken = self._speech_samples / self.sample_rate + late
        return SHORT_SPEECH_PROBABILITY if spoken <= SHORT_SPEECH_SECONDS else 0.5
