"""The person's turns, fed with sound directly (pipecat 1.14).

`tests/unit/media/test_sound_taker.py` fails if upstream changes what is relied on here.
"""

from collections.abc import Callable
from typing import Any, cast

from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.vad.vad_analyzer import VADState
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMUserAggregator,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.turns.user_mute import BaseUserMuteStrategy

from outdial_media.shared_models import SharedSmartTurn
from outdial_media.sound_taker import QueuedSound, TakesSound
from outdial_media.turn_taking import PhoneTurnStop, SoundsOverFrame
from outdial_media.twilio_frames import SAMPLE_RATE
from outdial_media.voice_activity import SharedSilero

SPOKEN_BYTES = 2 * SAMPLE_RATE
"""So long a voice without words (1 s) was somebody who spoke and was not understood. A shorter one
may have been a cough, a door, a dog: asking about it would be odd."""


class MuteWhen(BaseUserMuteStrategy):
    """The person is not heard by the conversation while `muted()` holds."""

    def __init__(self, muted: Callable[[], bool]) -> None:
        super().__init__()
        self._muted = muted

    async def process_frame(self, frame: Frame) -> bool:
        """Whether the next frame is kept back."""
        await super().process_frame(frame)
        return self._muted()


class PersonTurns(TakesSound, LLMUserAggregator):
    """Turns of the person. Lets no sound pass: nothing behind it listens.

    What upstream does with a frame of sound is done without the frame: voice activity looks at it,
    and Smart Turn keeps it. Whoever speaks or falls silent is told in line with all other frames,
    as ever.
    """

    def __init__(
        self,
        context: LLMContext,
        *,
        params: LLMUserAggregatorParams,
        stop: PhoneTurnStop,
        judge: SharedSmartTurn,
        muted: Callable[[], bool],
    ) -> None:
        params.user_mute_strategies = [MuteWhen(muted)]
        super().__init__(context, params=params)
        self._turn_stop, self._smart_turn, self._muted = stop, judge, muted
        self._silero = cast("SharedSilero", params.vad_analyzer)
        self._silero.on_state = self._on_voice
        self._smart_turn.on_over = self._sounds_over
        self._voice_bytes = 0  # of the turn, as voice activity reports it
        self.add_event_handler("on_user_turn_started", self._on_turn)

    def takes_it_now(self) -> bool:
        """Upstream learns that the person is heard again (or not) from frames alone."""
        return super().takes_it_now() and self._muted() == self._user_is_muted

    async def take_sound(self, pcm: bytes) -> None:
        """20 ms."""
        if self._user_is_muted:
            return
        self._silero.take(pcm)
        if self._turn_stop.hears_voice:
            self._voice_bytes += len(pcm)
        if (
            self._smart_turn.append_audio(pcm, self._turn_stop.hears_voice)
            == EndOfTurnState.COMPLETE
        ):
            self._sounds_over(self._smart_turn.judgement)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Sound that others handed on was heard already; a judgement may have become void."""
        if isinstance(frame, InputAudioRawFrame) and not isinstance(frame, QueuedSound):
            return
        if isinstance(frame, SoundsOverFrame) and frame.judgement != self._smart_turn.judgement:
            return
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push everything but sound, and what is our own business."""
        if not isinstance(frame, InputAudioRawFrame | SoundsOverFrame):
            await super().push_frame(frame, direction)

    def _sounds_over(self, judgement: int) -> None:
        if not self._cancelling:
            self.create_task(self.queue_frame(SoundsOverFrame(judgement)), "the turn sounds over")

    async def _on_turn(self, *_args: object) -> None:
        self._voice_bytes = 0

    async def _maybe_recover_empty_user_turn(self, interrupted_bot: bool) -> bool:
        """Leave a noise in the agent's silence to the idle rule, which begins to count anew."""
        if not interrupted_bot and self._voice_bytes < SPOKEN_BYTES:
            return False
        return await super()._maybe_recover_empty_user_turn(interrupted_bot)

    def _on_voice(self, state: VADState) -> None:
        """Upstream's `VADController._handle_vad`, with the state known already."""
        told: Any = self._vad_controller
        if state == told._vad_state or state in {VADState.STARTING, VADState.STOPPING}:  # noqa: SLF001
            return
        told._vad_state = state  # noqa: SLF001
        event = "on_speech_started" if state == VADState.SPEAKING else "on_speech_stopped"
        if not self._cancelling:
            self.create_task(told._call_event_handler(event), event)  # noqa: SLF001

    async def _on_vad_speech_activity(self, controller: object) -> None:
        """Upstream tells everybody five times a second that somebody speaks: nobody listens."""
