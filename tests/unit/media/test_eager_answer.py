"""An answer that is made before its turn is over: all of it counts, or nothing ever happened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    ErrorFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    StartFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.groq.llm import GroqLLMService
from pipecat.services.llm_service import FunctionCallParams
from pipecat.workers.runner import WorkerRunner

from outdial_media.phone_llm import PhoneLLM
from polling import until

pytestmark = pytest.mark.unit


def _chunk(delta: dict[str, Any], finish: str | None = None) -> ChatCompletionChunk:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return ChatCompletionChunk.model_validate({**head, "choices": [choice]})


_CALL = {"index": 0, "id": "c1", "function": {"name": "opt_out", "arguments": "{}"}}
WORDS, CALL, DONE = (
    _chunk({"content": "Good."}),
    _chunk({"tool_calls": [_CALL]}),
    _chunk({}, "stop"),
)


class _Model:
    """A route that gives these chunks; an exception is raised, None is waited on for ever."""

    def __init__(self, *chunks: ChatCompletionChunk | Exception | None) -> None:
        self.chat = self.completions = self
        self.chunks = chunks
        self.given = 0
        self.closed = False

    async def create(self, **_request: Any) -> AsyncIterator[ChatCompletionChunk]:
        async def stream() -> AsyncIterator[ChatCompletionChunk]:
            try:
                for chunk in self.chunks:
                    self.given += 1
                    if chunk is None:
                        await asyncio.Event().wait()
                    elif isinstance(chunk, Exception):
                        raise chunk
                    else:
                        yield chunk
            finally:
                self.closed = True

        return stream()


class _Collects(FrameProcessor):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.seen.append(frame)
        await self.push_frame(frame, direction)

    def has(self, kind: type[Frame]) -> bool:
        return any(isinstance(frame, kind) for frame in self.seen)


class _Call:
    """A model in a pipeline, and what it tells its conversation."""

    def __init__(self, *chunks: ChatCompletionChunk | Exception | None) -> None:
        self.model = _Model(*chunks)
        settings = GroqLLMService.Settings(model="m")
        self.llm = PhoneLLM(self.model, settings=settings)  # type: ignore[arg-type]
        self.told: list[str] = []
        self.llm.on_begin = lambda: self.told.append("begin")
        self.llm.on_text = self.told.append
        self.llm.on_silent = lambda: self.told.append("silent")
        self.llm.register_function("opt_out", self._opt_out)
        self.before, self.behind = _Collects(), _Collects()
        self.worker = PipelineWorker(
            Pipeline([self.before, self.llm, self.behind]),
            params=PipelineParams(),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )

    async def _opt_out(self, params: FunctionCallParams) -> None:
        self.told.append("tool")
        await params.result_callback({})

    async def see(self, *frames: Frame) -> None:
        await self.worker.queue_frames(frames)

    async def answer_ahead(self) -> None:
        """The model has given all that it gives, and the turn is not over."""
        context = LLMContext([{"role": "user", "content": "Yes."}])
        await self.see(UserStartedSpeakingFrame())
        await until(lambda: self.behind.has(UserStartedSpeakingFrame))
        await self.see(LLMContextFrame(context, speculation=True))
        await until(lambda: self.model.given == len(self.model.chunks) and self.llm.holds_answer)

    async def end_turn(self) -> None:
        await self.see(UserStoppedSpeakingFrame())
        await until(lambda: self.behind.has(UserStoppedSpeakingFrame))


@asynccontextmanager
async def _talking(*chunks: ChatCompletionChunk | Exception | None) -> AsyncIterator[_Call]:
    call = _Call(*chunks)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(call.worker)
    running = asyncio.create_task(runner.run())
    try:
        await until(lambda: call.behind.has(StartFrame))
        yield call
    finally:
        await runner.cancel()
        await running


async def test_its_words_wait_for_the_turns_end() -> None:
    async with _talking(WORDS, DONE) as call:
        await call.answer_ahead()
        assert not call.told
        assert not call.behind.has(LLMTextFrame)
        await call.end_turn()
        await until(lambda: call.behind.has(LLMTextFrame))
        assert not call.told  # the conversation learns of it once the person's words are recorded
        call.llm.turn_is_recorded()
        assert call.told == ["begin", "Good."]
        await until(lambda: not call.llm.answering)


async def test_thrown_away_it_leaves_nothing() -> None:
    async with _talking(WORDS, None) as call:
        await call.answer_ahead()
        await call.see(EagerEndOfTurnCancelFrame())
        await until(lambda: call.model.closed)
        await call.end_turn()
        call.llm.turn_is_recorded()
        assert (call.told, call.llm.answering, call.llm.holds_answer) == ([], False, False)
        assert not call.behind.has(LLMTextFrame)


async def test_its_tools_run_when_the_turn_is_recorded_and_not_before() -> None:
    async with _talking(CALL, DONE) as call:
        await call.answer_ahead()
        await call.end_turn()
        assert call.told == []
        call.llm.turn_is_recorded()
        await until(lambda: "tool" in call.told)
        assert call.told == ["begin", "tool"]


async def test_thrown_away_its_tools_never_run() -> None:
    async with _talking(CALL, DONE) as call:
        await call.answer_ahead()
        await call.see(EagerEndOfTurnCancelFrame())
        await until(lambda: not call.llm.holds_answer)
        await call.end_turn()
        call.llm.turn_is_recorded()
        call.model.chunks = (WORDS, DONE)
        await call.see(LLMContextFrame(LLMContext([{"role": "user", "content": "Yes. No."}])))
        await until(lambda: call.behind.has(LLMFullResponseEndFrame))
        assert call.told == ["begin", "Good."]


async def test_its_failure_is_one_when_the_turn_is_over() -> None:
    async with _talking(RuntimeError("all models are gone")) as call:
        await call.answer_ahead()
        assert not call.before.has(ErrorFrame)
        await call.end_turn()
        call.llm.turn_is_recorded()
        await until(lambda: call.before.has(ErrorFrame))


async def test_a_conversation_that_is_over_takes_none() -> None:
    async with _talking(WORDS, DONE) as call:
        await call.answer_ahead()
        call.llm.may_answer = lambda: False
        await call.end_turn()
        call.llm.turn_is_recorded()
        assert not call.told
        assert not call.behind.has(LLMTextFrame)


async def test_one_that_comes_too_late_is_not_begun() -> None:
    """Who found none begun at the turn's end has asked for another one."""
    async with _talking(WORDS, DONE) as call:
        await call.see(UserStartedSpeakingFrame())
        await call.end_turn()
        context = LLMContext([{"role": "user", "content": "Yes."}])
        await call.see(LLMContextFrame(context, speculation=True), LLMContextFrame(context))
        await until(lambda: call.behind.has(LLMFullResponseEndFrame))
        assert call.told == ["begin", "Good."]
