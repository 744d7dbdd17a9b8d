"""The language model of one call: whichever of the template's models answers."""

from collections.abc import Callable, Sequence
from typing import Any

# openai 2 imports it at the first request: every live call would stutter in the pod's first turn.
import openai.resources.chat.chat  # noqa: F401
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    FunctionCallFromLLM,
    InterruptionFrame,
    LLMContextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.groq.llm import GroqLLMService

from outdial_media.eager_answer import EagerAnswer
from outdial_media.model_route import ModelRoute


class PhoneLLM(GroqLLMService):
    """Groq's model. Adds: the call's route of models, a gate, and what becomes of an answer."""

    def __init__(self, route: ModelRoute, **kwargs: Any) -> None:
        self.route = route
        # One tool after the other: what is recorded is recorded before the call ends.
        super().__init__(api_key="shared", run_in_parallel=False, **kwargs)
        self.may_answer: Callable[[], bool] = lambda: True
        """Asked before each answer; False lets the model be silent."""
        self.on_text: Callable[[str], None] = lambda _: None
        """Called with each piece of text."""
        self.answering = False
        """Whether an answer was begun and not finished: cut off, failed, or under way."""
        self.on_begin: Callable[[], None] = lambda: None
        """An answer is being made."""
        self.on_silent: Callable[[], None] = lambda: None
        """An answer was made that holds neither words nor calls of tools."""
        self._answered = False
        self._eager: EagerAnswer | None = None
        self._in_turn = False

    @property
    def holds_answer(self) -> bool:
        """Whether an answer to a turn that is not over yet is under way, or made."""
        return self._eager is not None and self._speculation_gate.is_speculating

    def turn_is_recorded(self) -> None:
        """The person's turn is over, and stands in the context."""
        if self._eager is not None:
            self._eager.recorded()

    def create_client(self, *_args: Any, **_kwargs: Any) -> Any:
        """Upstream makes a client for every call, and never closes it."""
        return self.route

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer, if the conversation still wants answers."""
        match frame:
            case LLMContextFrame() if not self.may_answer():
                return
            case LLMContextFrame(speculation=True) if not self._in_turn:
                return  # too late: who found it not begun has asked again
            case UserStartedSpeakingFrame():
                self._in_turn = True
            case UserStoppedSpeakingFrame():
                self._in_turn = False
                if self.holds_answer and not self.may_answer():
                    await self.process_frame(EagerEndOfTurnCancelFrame(), direction)
            case EagerEndOfTurnCancelFrame() | InterruptionFrame() if self.holds_answer:
                self._eager = None
        held = self.holds_answer
        await super().process_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame) and held and self._eager is not None:
            self._eager.released()

    async def _process_context(self, context: LLMContext) -> None:
        self._answered = False
        self._eager = eager = EagerAnswer() if self._speculation_gate.is_speculating else None
        self._tell(self._begins)
        try:
            await super()._process_context(context)
        except Exception:
            if eager is not None:
                await eager.is_kept()  # nobody is told that what is not wanted has failed
            raise
        self._tell(self._is_over)

    def _tell(self, what: Callable[[], None]) -> None:
        if self._eager is not None:
            self._eager.tell(what)
        else:
            what()

    def _begins(self) -> None:
        self.answering = True
        self.on_begin()

    def _is_over(self) -> None:
        self.answering = False
        if not self._answered:
            self.on_silent()

    async def run_function_calls(self, function_calls: Sequence[FunctionCallFromLLM]) -> None:
        """Run tools: what they answer is answered in turn."""
        self._answered = True
        if self._eager is not None:
            await self._eager.is_kept()
        await super().run_function_calls(function_calls)

    async def _push_llm_text(self, text: str) -> None:
        self._answered = True
        self._tell(lambda: self.on_text(text))
        await super()._push_llm_text(text)
