"""A voice over the agent's: what interrupts it, and after what it goes on."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer, EndOfTurnState
from pipecat.clocks.system_clock import SystemClock
from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.turns.user_turn_controller import UserTurnController
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.asyncio.task_manager import TaskManager

from outdial_media import turn_start
from outdial_media.backchannel import backchannels
from outdial_media.saying import Said, Saying
from outdial_media.turn_start import PhoneTurnStart
from outdial_media.turn_taking import AllHeardFrame, PhoneTurnStop
from polling import until

pytestmark = pytest.mark.unit

STATEMENT = Said(Saying("We are open from nine to five on every day of the week.", 9.0, True), 2.0)
QUESTION = Said(Saying("Is that right?", 1.5, True), 1.0)


class _Agent:
    """Says something, until it is held."""

    def __init__(self) -> None:
        self.says: Said | None = STATEMENT
        self.held = False
        self.repeats: bool | None = None

    def said_now(self) -> Said | None:
        return self.says

    async def hold(self) -> Said | None:
        self.held = self.says is not None
        return self.says

    async def go_on(self, *, from_pause: bool = True) -> None:
        self.held, self.repeats = False, from_pause


class _Whole(BaseTurnAnalyzer):
    """Every turn is whole."""

    speech_triggered = True
    params = None

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        return EndOfTurnState.INCOMPLETE

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, None]:
        return EndOfTurnState.COMPLETE, None

    def clear(self) -> None:
        pass


class _Floor:
    """Both strategies, as upstream's controller asks them."""

    def __init__(self) -> None:
        self.agent = _Agent()
        self.muted = False
        self.passed: list[str] = []
        self.began = self.ended = self.forgotten = 0
        stop = PhoneTurnStop(turn_analyzer=_Whole())
        self.start = PhoneTurnStart(
            self.agent,
            stop,
            backchannels("en", None),
            longest_seconds=0.2,
            silence_seconds=0.05,
            muted=lambda: self.muted,
        )
        self.start.on_passed_over = self.passed.append
        self.turns = UserTurnController(
            user_turn_strategies=UserTurnStrategies(start=[self.start], stop=[stop]),
            user_turn_stop_timeout=30,
        )
        self.turns.add_event_handler("on_user_turn_started", self._on_began)
        self.turns.add_event_handler("on_user_turn_stopped", self._on_ended)
        self.turns.add_event_handler("on_reset_aggregation", self._on_forgotten)

    async def _on_began(self, *_args: object) -> None:
        self.began += 1

    async def _on_ended(self, *_args: object) -> None:
        self.ended += 1

    async def _on_forgotten(self, *_args: object) -> None:
        self.forgotten += 1

    async def see(self, *frames: Frame) -> None:
        for frame in frames:
            await self.turns.process_frame(frame)


@pytest.fixture
async def floor() -> AsyncIterator[_Floor]:
    made = _Floor()
    await made.turns.setup(
        FrameProcessorSetup(
            pipeline_worker=None,  # type: ignore[arg-type]  # nobody asks for it
            clock=SystemClock(),
            task_manager=TaskManager(),
            audio_in_sample_rate=8000,
            audio_out_sample_rate=8000,
        )
    )
    await made.see(STTMetadataFrame(service_name="test", ttfs_p99_latency=60.0))
    yield made
    await made.turns.cleanup()


VOICE, SILENCE = VADUserStartedSpeakingFrame(start_secs=0.1), VADUserStoppedSpeakingFrame()


def final(text: str) -> TranscriptionFrame:
    return TranscriptionFrame(text, "", "", finalized=True)


def interim(text: str) -> InterimTranscriptionFrame:
    return InterimTranscriptionFrame(text, "", "")


async def test_a_voice_over_the_agent_holds_it_at_once(floor: _Floor) -> None:
    await floor.see(VOICE)
    assert floor.agent.held
    assert floor.began == 0


async def test_in_silence_a_voice_begins_a_turn(floor: _Floor) -> None:
    floor.agent.says = None
    await floor.see(VOICE)
    assert floor.began == 1
    assert not floor.agent.held


async def test_after_a_backchannel_the_agent_goes_on(floor: _Floor) -> None:
    await floor.see(VOICE, SILENCE, final("Mm-hm."))
    assert not floor.agent.held
    assert (floor.began, floor.forgotten, floor.passed) == (0, 1, ["Mm-hm."])


async def test_the_agent_goes_on_before_the_recogniser_is_sure(floor: _Floor) -> None:
    await floor.see(VOICE, interim("okay"))
    assert floor.agent.held, "more words may come"
    await floor.see(SILENCE)
    assert not floor.agent.held
    assert floor.passed == []
    await floor.see(final("Okay."))
    assert (floor.began, floor.passed) == (0, ["Okay."])


async def test_words_that_turn_out_otherwise_interrupt_after_all(floor: _Floor) -> None:
    await floor.see(VOICE, interim("okay"), SILENCE, final("Okay, stop."))
    assert (floor.began, floor.passed) == (1, [])


@pytest.mark.parametrize("text", ["Stop.", "No.", "Wait, what?"])
async def test_other_words_take_the_turn_and_end_it(floor: _Floor, text: str) -> None:
    await floor.see(VOICE, SILENCE, final(text))
    assert (floor.began, floor.ended, floor.forgotten) == (1, 1, 0)


async def test_unfinished_words_take_the_turn_at_once(floor: _Floor) -> None:
    await floor.see(VOICE, interim("I"))
    assert floor.began == 0, "I see"
    await floor.see(interim("I want"))
    assert floor.began == 1
    await floor.see(SILENCE, final("I want to go."))
    assert floor.ended == 1


async def test_a_yes_where_an_answer_is_due_is_the_answer(floor: _Floor) -> None:
    floor.agent.says = QUESTION
    await floor.see(VOICE, SILENCE, final("Yes."))
    assert (floor.began, floor.ended, floor.passed) == (1, 1, [])


async def test_after_a_noise_the_agent_goes_on(floor: _Floor) -> None:
    await floor.see(VOICE, SILENCE)
    assert floor.agent.held
    await floor.see(AllHeardFrame())
    assert not floor.agent.held
    assert (floor.began, floor.passed) == (0, [""])


async def test_a_recogniser_that_says_nothing_is_not_waited_for(
    floor: _Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_start, "WORDS_SECONDS", 0.01)
    await floor.see(VOICE, SILENCE)
    await until(lambda: not floor.agent.held, 5)
    assert (floor.began, floor.passed) == (0, [""])


async def test_who_speaks_on_takes_the_turn_without_words(floor: _Floor) -> None:
    await floor.see(VOICE)
    await until(lambda: floor.began == 1, 5)
    assert floor.agent.held, "the interruption lets go of it"


async def test_who_is_not_to_be_heard_any_more_interrupts_nobody(floor: _Floor) -> None:
    await floor.see(VOICE)
    floor.muted = True
    await until(lambda: not floor.agent.held, 5)
    assert floor.began == 0


async def test_a_second_voice_holds_again(floor: _Floor) -> None:
    await floor.see(VOICE, interim("okay"), SILENCE, VOICE)
    assert floor.agent.held
    await floor.see(SILENCE, final("Okay okay."))
    assert not floor.agent.held
    assert floor.passed == ["Okay okay."]


async def test_words_without_a_voice_are_judged_the_same(floor: _Floor) -> None:
    await floor.see(final("Okay."))
    assert (floor.began, floor.passed) == (0, ["Okay."])
    await floor.see(final("Who is this?"))
    assert floor.began == 1


async def test_what_was_passed_over_does_not_end_the_next_turn(floor: _Floor) -> None:
    await floor.see(VOICE, SILENCE, final("Okay."))
    floor.agent.says = None
    await floor.see(VOICE, SILENCE, AllHeardFrame())
    await asyncio.sleep(0)
    assert (floor.began, floor.ended) == (1, 0), "its words have not come"
    await floor.see(final("Tuesday."))
    assert floor.ended == 1


async def test_in_the_person_s_turn_nothing_is_held(floor: _Floor) -> None:
    floor.agent.says = None
    await floor.see(VOICE)
    floor.agent.says = STATEMENT
    await floor.see(SILENCE, VOICE)
    assert not floor.agent.held
    assert floor.began == 1


async def test_without_backchannels_every_voice_interrupts(floor: _Floor) -> None:
    floor.start._backchannels = backchannels("en", ())
    await floor.see(VOICE)
    assert floor.began == 1


async def _is_held(floor: _Floor) -> None:
    floor.start.voice_is_likely(True)
    await until(lambda: floor.agent.held, 5)


async def test_a_likely_voice_holds_the_agent_before_it_is_sure(floor: _Floor) -> None:
    await _is_held(floor)
    assert floor.began == 0
    floor.agent.says = None  # all of it was sent, and taken back: nothing plays now
    await floor.see(VOICE)
    assert floor.began == 0, "what was held is what the voice spoke over"
    await floor.see(SILENCE, final("Mm-hm."))
    assert (floor.agent.held, floor.agent.repeats, floor.passed) == (False, True, ["Mm-hm."])


async def test_a_likely_voice_that_says_stop_interrupts(floor: _Floor) -> None:
    await _is_held(floor)
    await floor.see(VOICE, SILENCE, final("Stop."))
    assert (floor.began, floor.ended, floor.passed) == (1, 1, [])


async def test_the_agent_says_on_where_it_was_if_it_was_no_voice(floor: _Floor) -> None:
    await _is_held(floor)
    floor.start.voice_is_likely(False)
    await until(lambda: not floor.agent.held, 5)
    assert floor.agent.repeats is False
    assert (floor.began, floor.passed) == (0, [])


async def test_on_a_noisy_line_only_voices_hold_for_a_while(floor: _Floor) -> None:
    await _is_held(floor)
    floor.start.voice_is_likely(False)
    await until(lambda: not floor.agent.held, 5)
    await floor.start._hold_early()
    assert not floor.agent.held
    await floor.see(VOICE)
    assert floor.agent.held


async def test_a_line_that_tells_no_more_holds_nobody(
    floor: _Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_start, "LIKELY_SECONDS", 0.01)
    await floor.start._hold_early()
    assert floor.agent.held
    await until(lambda: not floor.agent.held, 5)


@pytest.mark.parametrize("why", ["muted", "in_turn", "silent", "no_backchannels"])
async def test_a_likely_voice_holds_nothing_where_a_voice_would_not(
    floor: _Floor, why: str
) -> None:
    floor.muted = why == "muted"
    floor.start._in_turn = why == "in_turn"
    floor.agent.says = None if why == "silent" else STATEMENT
    if why == "no_backchannels":
        floor.start._backchannels = backchannels("en", ())
    await floor.start._hold_early()
    assert not floor.agent.held
    assert floor.start._likely is None
