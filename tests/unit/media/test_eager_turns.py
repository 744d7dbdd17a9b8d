"""A person's turn, answered before it is over: pipecat 1.14's own way, from voice to words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from loud_is_voice import LoudIsVoice
from openai.types.chat import ChatCompletionChunk
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    LLMTextFrame,
    StartFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.groq.llm import GroqLLMService
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner
from told_judge import ToldJudge

from outdial_media.heard_words import heard_words
from outdial_media.person_turns import PersonTurns
from outdial_media.phone_llm import PhoneLLM
from outdial_media.turn_taking import Patience, PhoneTurnStop, SoundsOverFrame
from outdial_media.twilio_frames import SAMPLE_RATE
from outdial_media.voice_activity import SharedSilero, WindowsTogether
from polling import until

pytestmark = pytest.mark.unit


class _Echo:
    """A model that says what it was told last; of what it is told it keeps a copy."""

    def __init__(self) -> None:
        self.chat = self.completions = self
        self.asked: list[list[str]] = []

    async def create(self, *, messages: list[dict[str, Any]], **_: Any) -> AsyncIterator[Any]:
        self.asked.append([str(message["content"]) for message in messages])
        said = self.asked[-1][-1]

        async def stream() -> AsyncIterator[ChatCompletionChunk]:
            for delta, finish in (({"content": f"You said: {said}"}, None), ({}, "stop")):
                choice = {"index": 0, "delta": delta, "finish_reason": finish}
                head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
                yield ChatCompletionChunk.model_validate({**head, "choices": [choice]})

        return stream()


class _Hears(FrameProcessor):
    def __init__(self) -> None:
        super().__init__()
        self.started = False
        self.words: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.started = self.started or isinstance(frame, StartFrame)
        if isinstance(frame, LLMTextFrame):
            self.words.append(frame.text)
        await self.push_frame(frame, direction)


class _Call:
    """The person's turns and the model, as `pipeline.py` joins them."""

    def __init__(self) -> None:
        self.judge = judge = ToldJudge(EndOfTurnState.INCOMPLETE)
        stop = PhoneTurnStop(
            turn_analyzer=judge,
            judge=lambda text: heard_words(text, "en"),
            patience=Patience(whole=60, unfinished=60),
            eager=True,
        )
        together = WindowsTogether(LoudIsVoice())  # type: ignore[arg-type]
        self.context = LLMContext()
        person = PersonTurns(
            self.context,
            params=LLMUserAggregatorParams(
                vad_analyzer=SharedSilero(together, VADParams()),
                audio_idle_timeout=0,
                user_turn_strategies=UserTurnStrategies(
                    start=[VADUserTurnStartStrategy()], stop=[stop]
                ),
                user_turn_stop_timeout=60,
            ),
            stop=stop,
            judge=judge,  # type: ignore[arg-type]
            muted=lambda: False,
        )
        self.model = _Echo()
        llm = PhoneLLM(self.model, settings=GroqLLMService.Settings(model="m"))  # type: ignore[arg-type]
        stop.turn_text = person.aggregation_string
        stop.answer_is_held = lambda: llm.holds_answer
        self.hears = _Hears()
        self.worker = PipelineWorker(
            Pipeline([person, llm, self.hears]),
            params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )

    async def say(self, text: str) -> None:
        frames = (
            VADUserStartedSpeakingFrame(),
            VADUserStoppedSpeakingFrame(stop_secs=0.2),
            TranscriptionFrame(text, "", "", finalized=True),
        )
        for frame in frames:
            await self.worker.queue_frame(frame)

    @property
    def told(self) -> list[str]:
        return [str(message["content"]) for message in self.context.messages]


@asynccontextmanager
async def _talking() -> AsyncIterator[_Call]:
    call = _Call()
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(call.worker)
    running = asyncio.create_task(runner.run())
    try:
        await until(lambda: call.hears.started)
        await call.worker.queue_frame(STTMetadataFrame(service_name="t", ttfs_p99_latency=60.0))
        yield call
    finally:
        await runner.cancel()
        await running


async def test_the_answer_is_asked_for_once_and_said_when_the_turn_is_over() -> None:
    async with _talking() as call:
        await call.say("This is she.")
        await until(lambda: call.model.asked)
        assert (call.told, call.hears.words) == ([], [])
        await call.worker.queue_frame(SoundsOverFrame())
        await until(lambda: call.hears.words)
        assert call.told == ["This is she."]
        assert call.model.asked == [["This is she."]]
        assert call.hears.words == ["You said: This is she."]


async def test_who_goes_on_is_answered_as_if_nobody_had_been_ahead() -> None:
    async with _talking() as call:
        await call.say("This is she.")
        await until(lambda: call.model.asked)
        call.judge.state = EndOfTurnState.COMPLETE
        await call.say("Who is calling?")
        await until(lambda: call.hears.words)
        assert call.told == ["This is she. Who is calling?"]
        assert call.model.asked == [["This is she."], call.told]
        assert call.hears.words == [f"You said: {call.told[0]}"]


async def test_words_that_come_while_it_is_judged_are_answered_ahead() -> None:
    """pipecat 1.14 takes no frame until it is judged: on a full core, that is heard."""
    async with _talking() as call:
        await call.say("This is she.")
        await until(lambda: call.model.asked)
        call.judge.on_over(call.judge.judgement)
        await until(lambda: call.hears.words)
        assert call.model.asked == [["This is she."]]


async def test_a_judgement_that_has_become_void_ends_nothing() -> None:
    async with _talking() as call:
        await call.say("This is she.")
        await until(lambda: call.model.asked)
        call.judge.on_over(call.judge.judgement - 1)
        await call.say("Who is calling?")
        await until(lambda: len(call.model.asked) == 2)
        assert (call.told, call.hears.words) == ([], [])
