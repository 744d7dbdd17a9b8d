"""When the person's turn is over: what is added to pipecat 1.14's judgement."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer
from pipecat.frames.frames import DataFrame, Frame, SystemFrame, VADUserStoppedSpeakingFrame
from pipecat.turns.types import ProcessFrameResult, UserTurnSpeculation
from pipecat.turns.user_stop import TurnAnalyzerUserTurnStopStrategy

from outdial_media import metrics
from outdial_media.heard_words import HeardWords


@dataclass
class AllHeardFrame(DataFrame):
    """The recogniser has confirmed that its transcripts so far are all there is."""


@dataclass
class SoundsOverFrame(SystemFrame):
    """The person's turn is over by its sound: Smart Turn says so, or has waited for long enough.

    `judgement` is the number of the one that says so.
    """

    judgement: int = 0


@dataclass(frozen=True)
class Patience:
    """For how many seconds after the end of a voice was noticed a turn is not over yet."""

    whole: float = 0.0
    """Its intonation goes on, its words are a whole sentence: both judges err."""
    unfinished: float = 0.0
    """Its words want more, however it sounds."""


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
        judge: Callable[[str], HeardWords] = lambda _text: HeardWords.OPEN,
        patience: Patience = Patience(),
        eager: bool = False,
    ) -> None:
        """`judge` says of the words heard last whether they are the last.

        `eager`: while a whole sentence is waited on, its answer is made already, and thrown away
        if the person goes on.
        """
        super().__init__(turn_analyzer=turn_analyzer)
        self._judge = judge
        self._patience = {
            HeardWords.WHOLE: patience.whole,
            HeardWords.UNFINISHED: patience.unfinished,
        }
        self._exhausted: set[HeardWords] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._eager = eager
        self._in_turn = False
        self._speculation: UserTurnSpeculation | None = None
        self.turn_text: Callable[[], str] = lambda: ""
        """All that was heard in the turn, as the model would be told it."""
        self.answer_is_held: Callable[[], bool] = lambda: False
        """Whether the model has begun the answer it was asked for ahead, and nothing cut it."""
        self.knows_the_beginning = False
        """The turn that begins next began with what was heard last: nothing of it is forgotten."""
        self._passed_over: Frame | None = None

    async def handle_user_turn_started(self) -> None:
        """A turn begins with a voice, or later, when it is known that the voice takes the turn."""
        self._in_turn = True
        if not self.knows_the_beginning:
            await super().handle_user_turn_started()
        self.knows_the_beginning = False

    async def handle_user_turn_stopped(self) -> None:
        """It is over, or was none."""
        self._in_turn = False
        await super().handle_user_turn_stopped()

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
        if isinstance(frame, SoundsOverFrame) and not self._vad_user_speaking:
            self._turn_complete = True
            await self._maybe_trigger_user_turn_stopped()
        if isinstance(frame, AllHeardFrame) and self._vad_stopped:
            self._transcript_finalized = True
            await self._maybe_trigger_user_turn_stopped()
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._wait()
        return await super().process_frame(frame)

    async def cleanup(self) -> None:
        """Let go of everything."""
        self._stop_waiting()
        await super().cleanup()

    def _wait(self) -> None:
        self._stop_waiting()
        loop = asyncio.get_running_loop()

        def over(words: HeardWords) -> None:
            self._exhausted.add(words)
            self.create_task(self._maybe_trigger_user_turn_stopped(), "no more words")

        self._timers = [
            loop.call_later(seconds, over, words) for words, seconds in self._patience.items()
        ]

    async def trigger_user_turn_stopped(
        self, *, enable_user_speaking_frames: bool | None = None
    ) -> None:
        """End the turn; an answer that was made ahead stands if it answers the same words."""
        told = {"enable_user_speaking_frames": enable_user_speaking_frames}
        speculation = self._speculation
        if speculation and speculation.text == self.turn_text() and self.answer_is_held():
            self._speculation = None
            metrics.eager_answers.labels("kept").inc()
            await self.trigger_user_turn_finalized(confirms_speculation=True, **told)
        else:
            await self._throw_away()
            await super().trigger_user_turn_stopped(**told)

    async def _answer_ahead(self) -> None:
        text = self.turn_text()
        if self._speculation is not None and self._speculation.text != text:
            await self._throw_away()
        wanted = self._eager and self._in_turn and not self._vad_user_speaking
        if wanted and text and self._speculation is None:
            self._speculation = UserTurnSpeculation(text=text)
            await self.trigger_user_turn_inference_triggered(speculation=self._speculation)

    async def _throw_away(self) -> None:
        speculation, self._speculation = self._speculation, None
        if speculation is not None:
            metrics.eager_answers.labels("thrown_away").inc()
            await self.trigger_user_turn_speculation_cancelled()

    async def _maybe_trigger_user_turn_stopped(self) -> None:
        says = self._judge(self._text)
        if says in self._exhausted:
            self._turn_complete = True
        elif says is HeardWords.UNFINISHED:
            return
        elif says is HeardWords.WHOLE and self._transcript_finalized and not self._turn_complete:
            await self._answer_ahead()
        await super()._maybe_trigger_user_turn_stopped()

    async def _discard_pending_end_of_turn(self) -> None:
        self._stop_waiting()
        await self._throw_away()
        await super()._discard_pending_end_of_turn()

    def _stop_waiting(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._exhausted.clear()
