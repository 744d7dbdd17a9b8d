"""When the person's turn is over: what is added to pipecat 1.14's judgement."""

from dataclasses import dataclass

from pipecat.frames.frames import DataFrame, Frame, SystemFrame
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_stop import TurnAnalyzerUserTurnStopStrategy


@dataclass
class AllHeardFrame(DataFrame):
    """The recogniser has confirmed that its transcripts so far are all there is."""


@dataclass
class SilenceFrame(SystemFrame):
    """The person has been silent for as long as Smart Turn waits at most."""


class PhoneTurnStop(TurnAnalyzerUserTurnStopStrategy):
    """Ends a turn as soon as all of it was heard.

    Deepgram's own endpointing often sends the last transcript before voice activity asks it to
    finalize; its answer is then empty. pipecat 1.14 takes only an answer with words for the end of
    them, and waits for a timeout that is made for the slowest: half a second in every reply.
    """

    @property
    def hears_voice(self) -> bool:
        """Whether the person speaks, as far as this strategy has been told."""
        return self._vad_user_speaking

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Take the recogniser's word for it."""
        if isinstance(frame, SilenceFrame):
            self._turn_complete = True
            await self._maybe_trigger_user_turn_stopped()
        if isinstance(frame, AllHeardFrame) and self._vad_stopped:
            self._transcript_finalized = True
            await self._maybe_trigger_user_turn_stopped()
        return await super().process_frame(frame)
