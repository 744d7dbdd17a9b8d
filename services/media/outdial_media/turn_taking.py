"""When the person's turn is over: what is added to pipecat 1.14's judgement."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer
from pipecat.frames.frames import DataFrame, Frame, SystemFrame, VADUserStoppedSpeakingFrame
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_stop import TurnAnalyzerUserTurnStopStrategy


@dataclass
class AllHeardFrame(DataFrame):
    """The recogniser has confirmed that its transcripts so far are all there is."""


@dataclass
class SilenceFrame(SystemFrame):
    """The person has been silent for as long as Smart Turn waits at most."""


class PhoneTurnStop(TurnAnalyzerUserTurnStopStrategy):
    """Ends a turn as soon as all of it was heard, and its last words can be the last.

    Deepgram's own endpointing often sends the last transcript before voice activity asks it to
    finalize; its answer is then empty. pipecat 1.14 takes only an answer with words for the end of
    them, and waits for a timeout that is made for the slowest: half a second in every reply.
    """

    def __init__(
        self,
        *,
        turn_analyzer: BaseTurnAnalyzer,
        unfinished: Callable[[str], bool] = lambda _text: False,
        longest_wait: float = 0.0,
    ) -> None:
        """`unfinished` words are waited on for `longest_wait` seconds after the voice's end."""
        super().__init__(turn_analyzer=turn_analyzer)
        self._unfinished = unfinished
        self._longest_wait = longest_wait
        self._waited = False
        self._patience: asyncio.TimerHandle | None = None
        self.knows_the_beginning = False
        """The turn that begins next began with what was heard last: nothing of it is forgotten."""
        self._passed_over: Frame | None = None

    async def handle_user_turn_started(self) -> None:
        """A turn begins with a voice, or later, when it is known that the voice takes the turn."""
        if not self.knows_the_beginning:
            await super().handle_user_turn_started()
        self.knows_the_beginning = False

    async def pass_over(self, last: Frame | None) -> None:
        """What was heard was no turn, nor is `last`, which comes here next."""
        self._passed_over = last
        await self.handle_user_turn_stopped()

    @property
    def hears_voice(self) -> bool:
        """Whether the person speaks, as far as this strategy has been told."""
        return self._vad_user_speaking

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Take the recogniser's word for it."""
        if frame is self._passed_over:
            self._passed_over = None
            return ProcessFrameResult.CONTINUE
        if isinstance(frame, SilenceFrame):
            self._turn_complete = True
            await self._maybe_trigger_user_turn_stopped()
        if isinstance(frame, AllHeardFrame) and self._vad_stopped:
            self._transcript_finalized = True
            await self._maybe_trigger_user_turn_stopped()
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._patience = asyncio.get_running_loop().call_later(
                self._longest_wait, lambda: self.create_task(self._has_waited(), "no more words")
            )
        return await super().process_frame(frame)

    async def cleanup(self) -> None:
        """Let go of everything."""
        self._stop_waiting()
        await super().cleanup()

    async def _has_waited(self) -> None:
        self._waited = True
        await self._maybe_trigger_user_turn_stopped()

    async def _maybe_trigger_user_turn_stopped(self) -> None:
        if self._waited or not self._unfinished(self._text):
            await super()._maybe_trigger_user_turn_stopped()

    async def _discard_pending_end_of_turn(self) -> None:
        self._waited = False
        self._stop_waiting()
        await super()._discard_pending_end_of_turn()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
