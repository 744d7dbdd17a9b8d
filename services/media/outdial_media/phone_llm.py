"""The language model of one call: whichever of the template's models answers."""

from collections.abc import Callable, Sequence
from typing import Any

# openai 2 imports it at the first request: every live call would stutter in the pod's first turn.
import openai.resources.chat.chat  # noqa: F401
from pipecat.frames.frames import Frame, FunctionCallFromLLM, LLMContextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.groq.llm import GroqLLMService

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

    def create_client(self, *_args: Any, **_kwargs: Any) -> Any:
        """Upstream makes a client for every call, and never closes it."""
        return self.route

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer, if the conversation still wants answers."""
        if isinstance(frame, LLMContextFrame) and not self.may_answer():
            return
        await super().process_frame(frame, direction)

    async def _process_context(self, context: LLMContext) -> None:
        self.answering, self._answered = True, False
        self.on_begin()
        await super()._process_context(context)
        self.answering = False
        if not self._answered:
            self.on_silent()

    async def run_function_calls(self, function_calls: Sequence[FunctionCallFromLLM]) -> None:
        """Run tools: what they answer is answered in turn."""
        self._answered = True
        await super().run_function_calls(function_calls)

    async def _push_llm_text(self, text: str) -> None:
        self._answered = True
        self.on_text(text)
        await super()._push_llm_text(text)
