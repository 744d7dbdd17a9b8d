"""One Silero and one Smart Turn session a process, shared by all its calls.

Pipecat 1.14 loads both for every call: 22 MB and 50 ms in which every other call stutters. Silero
keeps its recurrent state outside the session and Smart Turn has none, so a session can be shared.
`tests/unit/media/test_shared_models.py` fails if upstream changes what is relied on here.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
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

SHORT_SPEECH_SECONDS = 0.8
SHORT_SPEECH_PROBABILITY = 0.005
"""Smart Turn hesitates at "no" and "hello?" (0.01 to 0.2), which are whole answers on the
telephone: so little speech is a turn unless the model is as good as sure that it is not."""


class SharedModels:
    """Loads the sessions once; hands each call its own small analyzers around them."""

    def __init__(self) -> None:
        self._windows = WindowsTogether(SileroVADAnalyzer()._model.session)  # noqa: SLF001
        self._smart_turn = LocalSmartTurnAnalyzerV3()
        # One thread for all: turns end rarely, and inference must not stop the loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="smart-turn")

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
        """How likely it is that the speech in `audio` is complete. Takes 20 to 50 ms of a core."""
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
    """Smart Turn for one call."""

    def __init__(self, models: SharedModels, params: SmartTurnParams, turns: Turns) -> None:
        super().__init__(params=params)
        self._models = models
        self._turns = turns
        self._speech_samples = 0
        self._meanwhile: list[tuple[bytes, bool]] | None = None  # sound while it judges

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        """Count speech as it comes, beside what upstream does. What comes while it judges waits."""
        if self._meanwhile is not None:
            self._meanwhile.append((buffer, is_speech))
            return EndOfTurnState.INCOMPLETE
        if is_speech:
            self._speech_samples += len(buffer) // 2
        return super().append_audio(buffer, is_speech)

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, MetricsData | None]:
        """Judge on the shared thread; with Smart Turn off, silence alone ends a turn."""
        if not self._turns.smart_turn:
            self._clear(EndOfTurnState.COMPLETE)
            return EndOfTurnState.COMPLETE, None
        loop = asyncio.get_running_loop()
        self._meanwhile = []
        try:
            state, metrics = await loop.run_in_executor(
                self._models.thread, self._process_speech_segment, self._audio_buffer
            )
            if state == EndOfTurnState.COMPLETE:
                self._clear(state)
        finally:
            meanwhile, self._meanwhile = self._meanwhile, None
        if EndOfTurnState.COMPLETE in [self.append_audio(*sound) for sound in meanwhile]:
            state = EndOfTurnState.COMPLETE
        return state, metrics

    def _clear(self, turn_state: EndOfTurnState) -> None:
        super()._clear(turn_state)
        if turn_state == EndOfTurnState.COMPLETE:
            self._speech_samples = 0

    def _predict_endpoint(self, audio_array: NDArray[np.float32]) -> dict[str, object]:
        probability = self._models.endpoint_probability(audio_array, self.sample_rate)
        return {"prediction": int(probability > self._threshold()), "probability": probability}

    def _threshold(self) -> float:
        # Voice activity reports speech late, and reports it until it has been silent for so long.
        late = (self._turns.start_ms - self._turns.silence_ms) / 1000
        spoken = self._speech_samples / self.sample_rate + late
        return SHORT_SPEECH_PROBABILITY if spoken <= SHORT_SPEECH_SECONDS else 0.5
