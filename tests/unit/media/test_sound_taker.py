"""Sound goes past the queues, and never past what must come before it."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from loud_is_voice import QUIET, VOICE, LoudIsVoice
from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer, EndOfTurnState
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.audio.vad.vad_controller import VADController
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    DataFrame,
    Frame,
    LLMContextFrame,
    StartFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMUserAggregator,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.empty_user_turn import EmptyUserTurnConfig
from pipecat.turns.user_start import BaseUserTurnStartStrategy, VADUserTurnStartStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from outdial_media.person_turns import PersonTurns
from outdial_media.sound_taker import TakesSound
from outdial_media.turn_taking import PhoneTurnStop, SoundsOverFrame
from outdial_media.twilio_frames import SAMPLE_RATE
from outdial_media.voice_activity import SharedSilero, WindowsTogether

pytestmark = pytest.mark.unit


class Judge(BaseTurnAnalyzer):
    """Keeps what it is given; `says` of all of it."""

    speech_triggered = True
    params = None
    judgement = 0

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[bytes, bool]] = []
        self.says = EndOfTurnState.INCOMPLETE

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        self.given.append((buffer, is_speech))
        return self.says

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, None]:
        return EndOfTurnState.INCOMPLETE, None

    def clear(self) -> None:
        pass


class Collects(FrameProcessor):
    """Keeps the frames that reach it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Frame] = []
        self.news = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.seen.append(frame)
        self.news.set()
        await self.push_frame(frame, direction)

    async def until(self, kind: type[Frame]) -> None:
        async with asyncio.timeout(5):
            while not any(isinstance(frame, kind) for frame in self.seen):
                self.news.clear()
                await self.news.wait()


class _Last(DataFrame):
    """Behind it comes nothing."""


class Line:
    """A person's turns between two collectors."""

    def __init__(
        self,
        muted: Callable[[], bool],
        start: Sequence[BaseUserTurnStartStrategy] = (),
        **params: Any,
    ) -> None:
        self.judge = Judge()
        together = WindowsTogether(LoudIsVoice())  # type: ignore[arg-type]
        voice = SharedSilero(together, VADParams(confidence=0.6, start_secs=0.06, stop_secs=0.06))
        stop = PhoneTurnStop(turn_analyzer=self.judge)
        given = LLMUserAggregatorParams(
            vad_analyzer=voice,
            audio_idle_timeout=0,
            user_turn_strategies=UserTurnStrategies(start=list(start), stop=[stop]),
            **params,
        )
        self.person = PersonTurns(
            LLMContext(),
            params=given,
            stop=stop,
            judge=self.judge,  # type: ignore[arg-type]
            muted=muted,
        )
        self.before, self.behind = Collects(), Collects()
        self.worker = PipelineWorker(
            Pipeline([self.before, self.person, self.behind]),
            params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )


@asynccontextmanager
async def talking(line: Line) -> AsyncIterator[None]:
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(line.worker)
    running = asyncio.create_task(runner.run())
    try:
        await line.behind.until(StartFrame)
        yield
    finally:
        await runner.cancel()
        await running


async def queued_sound_is_taken(taker: TakesSound) -> None:
    async with asyncio.timeout(5):
        while taker._sound_in_queue:  # noqa: ASYNC110 - a count, of the class under test
            await asyncio.sleep(0)


async def test_whoever_speaks_and_falls_silent_is_told_both_ways() -> None:
    line = Line(lambda: False)
    async with talking(line):
        await line.person.hear(2 * VOICE)
        for collector in (line.before, line.behind):
            await collector.until(VADUserStartedSpeakingFrame)
        await line.person.hear(2 * QUIET)
        for collector in (line.before, line.behind):
            await collector.until(VADUserStoppedSpeakingFrame)
        assert [sound for sound, _ in line.judge.given] == [2 * VOICE, 2 * QUIET]
        assert not line.judge.given[0][1]


async def test_sound_that_comes_before_the_start_is_not_lost() -> None:
    line = Line(lambda: False)
    await line.person.hear(2 * VOICE)
    assert line.person._sound_in_queue == 1
    async with talking(line):
        await line.behind.until(VADUserStartedSpeakingFrame)
        assert line.person._sound_in_queue == 0
        assert line.person.takes_it_now()
        assert line.judge.given[0][0] == 2 * VOICE


async def test_who_is_muted_is_not_heard_and_then_at_once() -> None:
    muted = [True]
    line = Line(lambda: muted[0])
    async with talking(line):
        await line.person.hear(VOICE)
        await queued_sound_is_taken(line.person)
        await line.person.hear(2 * VOICE)
        before = len(line.judge.given)
        muted[0] = False
        await line.person.hear(QUIET)  # the frame that tells upstream is itself not heard
        await queued_sound_is_taken(line.person)
        assert len(line.judge.given) == before
        await line.person.hear(2 * VOICE)
        await line.behind.until(VADUserStartedSpeakingFrame)
        assert line.judge.given[-1][0] == 2 * VOICE


async def test_the_longest_silence_ends_a_turn_in_line_with_all_else() -> None:
    line = Line(lambda: False)
    async with talking(line):
        ended = asyncio.Event()
        stop: Any = line.person._turn_stop

        async def trigger() -> None:
            assert stop._turn_complete
            ended.set()

        stop._maybe_trigger_user_turn_stopped = trigger
        line.judge.says = EndOfTurnState.COMPLETE
        await line.person.hear(QUIET)
        async with asyncio.timeout(5):
            await ended.wait()
        assert not any(isinstance(frame, SoundsOverFrame) for frame in line.behind.seen)


@pytest.mark.parametrize(
    ("windows", "asked"), [(8, False), (60, True)], ids=["a noise", "somebody not understood"]
)
async def test_who_is_not_understood_is_asked_and_a_noise_is_not(windows: int, asked: bool) -> None:
    line = Line(
        lambda: False,
        [VADUserTurnStartStrategy()],
        user_turn_stop_timeout=0.1,
        empty_user_turn=EmptyUserTurnConfig(idle_prompt="Ask them to say it again."),
    )
    began, ended = asyncio.Event(), asyncio.Event()

    async def on_began(*_: object) -> None:
        began.set()

    async def on_ended(*_: object) -> None:
        ended.set()

    line.person.add_event_handler("on_user_turn_started", on_began)
    line.person.add_event_handler("on_user_turn_stopped", on_ended)
    async with talking(line):
        await line.worker.queue_frames([BotStartedSpeakingFrame(), BotStoppedSpeakingFrame()])
        await line.behind.until(BotStoppedSpeakingFrame)
        await line.person.hear(4 * VOICE)
        async with asyncio.timeout(5):
            await began.wait()
            await line.person.hear(windows * VOICE)
            await line.person.hear(10 * QUIET)
            await ended.wait()
        await line.worker.queue_frames([_Last()])
        await line.behind.until(_Last)
        assert any(isinstance(frame, LLMContextFrame) for frame in line.behind.seen) is asked


async def test_nothing_of_upstreams_is_written_over() -> None:
    """A method of the same name would be gone, and missed when the call ends."""
    methods = {
        name for name in dir(LLMUserAggregator) if callable(getattr(LLMUserAggregator, name))
    }
    assert not methods & set(vars(Line(lambda: False).person))


class Breaks(TakesSound):
    """Cannot take any."""

    async def take_sound(self, pcm: bytes) -> None:
        raise ValueError(pcm)


async def test_the_reader_of_the_line_goes_on() -> None:
    broken = Breaks()
    broken._has_started = True
    told: list[str] = []

    async def push_error(message: str, **_: Any) -> None:
        told.append(message)

    broken.push_error = push_error  # type: ignore[method-assign, assignment]
    await broken.hear(VOICE)
    assert len(told) == 1


def test_upstream_does_with_a_frame_of_sound_what_is_done_here() -> None:
    """pipecat 1.14: nothing but voice activity and the stop strategy looks at sound."""
    source = inspect.getsource(LLMUserAggregator.process_frame)
    assert "InputAudioRawFrame" not in source
    for step in (
        "self._maybe_mute_frame(frame)",
        "self._vad_controller.process_frame(frame)",
        "self._user_turn_controller.process_frame(frame)",
        "self._user_idle_controller.process_frame(frame)",
    ):
        assert step in source
    told = inspect.getsource(VADController._handle_vad)
    for event in ("on_speech_started", "on_speech_stopped"):
        assert f'_call_event_handler("{event}")' in told
    assert "self._user_is_muted" in inspect.getsource(LLMUserAggregator._maybe_mute_frame)


def test_who_takes_sound_says_how() -> None:
    with pytest.raises(TypeError, match="take_sound"):
        type("Silent", (TakesSound,), {})()
