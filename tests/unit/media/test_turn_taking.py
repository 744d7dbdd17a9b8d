"""A turn ends when all of it was heard, by the recogniser's word."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.clocks.system_clock import SystemClock
from pipecat.frames.frames import (
    Frame,
    STTMetadataFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.turns.types import UserTurnSpeculation
from pipecat.turns.user_stop import UserTurnStoppedParams
from pipecat.utils.asyncio.task_manager import TaskManager
from told_judge import ToldJudge

from outdial_media.heard_words import heard_words
from outdial_media.turn_taking import AllHeardFrame, Patience, PhoneTurnStop, SoundsOverFrame
from outdial_media.unfinished import sounds_unfinished
from polling import until

pytestmark = pytest.mark.unit


class _Turns:
    """A strategy and the turns that it ended."""

    def __init__(self, *, eager: bool = False) -> None:
        self.judge = ToldJudge(EndOfTurnState.COMPLETE)
        self.stop = PhoneTurnStop(
            turn_analyzer=self.judge,
            judge=lambda text: heard_words(text, "en"),
            patience=Patience(whole=0.05, unfinished=0.1),
            eager=eager,
        )
        self.heard: list[str] = []
        self.stop.turn_text = lambda: " ".join(self.heard)
        self.held = True
        self.stop.answer_is_held = lambda: self.held
        self.asked: list[str] = []
        self.thrown_away = self.confirmed = 0
        self.stop.add_event_handler("on_user_turn_inference_triggered", self._on_asked)
        self.stop.add_event_handler("on_user_turn_speculation_cancelled", self._on_thrown_away)
        self.ended = 0
        self.stop.add_event_handler("on_user_turn_stopped", self._on_stopped)

    async def _on_stopped(self, _stop: object, how: UserTurnStoppedParams) -> None:
        self.ended += 1
        self.confirmed += how.confirms_speculation
        await self.stop.handle_user_turn_stopped()  # as the controller does

    async def _on_asked(self, _stop: object, ahead: UserTurnSpeculation | None) -> None:
        self.asked.append(ahead.text if ahead else "")

    async def _on_thrown_away(self, *_args: object) -> None:
        self.thrown_away += 1

    async def see(self, *frames: Frame) -> None:
        for frame in frames:
            if isinstance(frame, TranscriptionFrame):
                self.heard.append(frame.text)
            await self.stop.process_frame(frame)
        for task in list(self.stop._event_tasks):
            await task[1]


@asynccontextmanager
async def _set_up(made: _Turns) -> AsyncIterator[_Turns]:
    setup = FrameProcessorSetup(
        pipeline_worker=None,  # type: ignore[arg-type]  # nobody asks for it
        clock=SystemClock(),
        task_manager=TaskManager(),
        audio_in_sample_rate=8000,
        audio_out_sample_rate=8000,
    )
    await made.stop.setup(setup)
    await made.see(STTMetadataFrame(service_name="test", ttfs_p99_latency=60.0))
    yield made
    await made.stop.cleanup()


@pytest.fixture
async def turns() -> AsyncIterator[_Turns]:
    async with _set_up(_Turns()) as made:
        yield made


@pytest.fixture
async def eager() -> AsyncIterator[_Turns]:
    """Turns whose end intonation doubts."""
    async with _set_up(_Turns(eager=True)) as made:
        made.judge.state = EndOfTurnState.INCOMPLETE
        await made.stop.handle_user_turn_started()
        yield made


STARTED, STOPPED = VADUserStartedSpeakingFrame(), VADUserStoppedSpeakingFrame(stop_secs=0.2)


def _words(text: str = "yes", *, finalized: bool = False) -> TranscriptionFrame:
    return TranscriptionFrame(text, "", "", finalized=finalized)


async def test_words_that_came_before_they_were_asked_for_end_the_turn(turns: _Turns) -> None:
    """pipecat 1.14 waits for its timeout here: if it does not any more, the subclass can go."""
    await turns.see(STARTED, _words(), STOPPED)
    assert not turns.ended
    await turns.see(AllHeardFrame())
    assert turns.ended == 1


async def test_nothing_heard_ends_nothing(turns: _Turns) -> None:
    await turns.see(STARTED, STOPPED, AllHeardFrame())
    assert not turns.ended


async def test_who_speaks_again_has_not_been_heard_to_the_end(turns: _Turns) -> None:
    await turns.see(STARTED, _words(), STARTED, AllHeardFrame())
    assert not turns.ended


async def test_an_unfinished_sentence_is_waited_for(turns: _Turns) -> None:
    turns.judge.state = EndOfTurnState.INCOMPLETE
    await turns.see(STARTED, _words(), STOPPED, AllHeardFrame())
    assert not turns.ended


async def test_words_that_want_more_are_waited_on(turns: _Turns) -> None:
    await turns.see(STARTED, STOPPED, _words("My number is", finalized=True))
    assert not turns.ended
    await turns.see(STARTED, STOPPED, _words("five five five, one two three four.", finalized=True))
    assert turns.ended == 1


async def test_but_not_for_ever(turns: _Turns) -> None:
    await turns.see(STARTED, STOPPED, _words("It depends on", finalized=True), SoundsOverFrame())
    assert not turns.ended
    await until(lambda: turns.ended == 1, 5)


async def test_a_whole_sentence_that_sounds_unfinished_is_waited_on_for_a_moment(
    turns: _Turns,
) -> None:
    turns.judge.state = EndOfTurnState.INCOMPLETE
    await turns.see(STARTED, STOPPED, _words("Yes, hello, this is she.", finalized=True))
    assert not turns.ended
    await until(lambda: turns.ended == 1, 5)


async def test_its_moment_is_over_before_its_words_have_come(turns: _Turns) -> None:
    turns.judge.state = EndOfTurnState.INCOMPLETE
    await turns.see(STARTED, STOPPED)
    await until(lambda: len(turns.stop._exhausted) == 2, 5)
    assert not turns.ended
    await turns.see(_words("Only in the afternoon.", finalized=True))
    assert turns.ended == 1


async def test_who_goes_on_is_waited_on_anew(turns: _Turns) -> None:
    turns.judge.state = EndOfTurnState.INCOMPLETE
    await turns.see(STARTED, STOPPED)
    await until(lambda: len(turns.stop._exhausted) == 2, 5)
    await turns.see(STARTED, STOPPED, _words("Only in the afternoon.", finalized=True))
    assert not turns.ended


async def test_words_that_say_nothing_leave_it_to_intonation(turns: _Turns) -> None:
    turns.judge.state = EndOfTurnState.INCOMPLETE
    await turns.see(STARTED, STOPPED, _words("only in the afternoon", finalized=True))
    await until(lambda: len(turns.stop._exhausted) == 2, 5)
    assert not turns.ended
    await turns.see(SoundsOverFrame())
    assert turns.ended == 1


SHE = "Yes, hello, this is she."


async def test_a_whole_sentence_is_answered_while_it_is_waited_on(eager: _Turns) -> None:
    await eager.see(STARTED, STOPPED, _words(SHE, finalized=True))
    assert (eager.asked, eager.ended) == ([SHE], 0)
    await until(lambda: eager.ended == 1, 5)
    assert (eager.asked, eager.confirmed, eager.thrown_away) == ([SHE], 1, 0)


async def test_who_goes_on_has_the_answer_thrown_away(eager: _Turns) -> None:
    await eager.see(STARTED, STOPPED, _words(SHE, finalized=True), STARTED)
    assert (eager.asked, eager.thrown_away) == ([SHE], 1)
    more = "Only in the afternoon."
    await eager.see(STOPPED, _words(more, finalized=True))
    await until(lambda: eager.ended == 1, 5)
    assert (eager.asked, eager.confirmed) == ([SHE, f"{SHE} {more}"], 1)


async def test_more_words_ask_anew(eager: _Turns) -> None:
    await eager.see(STARTED, STOPPED, _words(SHE, finalized=True), _words("No.", finalized=True))
    assert (eager.asked, eager.thrown_away) == ([SHE, f"{SHE} No."], 1)


async def test_an_answer_that_was_cut_is_asked_for_again(eager: _Turns) -> None:
    await eager.see(STARTED, STOPPED, _words(SHE, finalized=True))
    eager.held = False
    await until(lambda: eager.ended == 1, 5)
    assert (eager.asked, eager.confirmed, eager.thrown_away) == ([SHE, ""], 0, 1)


@pytest.mark.parametrize("text", ["It depends on", "only in the afternoon"])
async def test_what_may_go_on_is_not_answered_ahead(eager: _Turns, text: str) -> None:
    await eager.see(STARTED, STOPPED, _words(text, finalized=True))
    assert not eager.asked


async def test_words_over_the_agent_that_may_be_no_turn_are_not_answered_ahead(
    eager: _Turns,
) -> None:
    await eager.stop.pass_over(None)
    await eager.see(STARTED, STOPPED, _words("Okay.", finalized=True))
    assert not eager.asked


async def test_a_turn_that_is_over_is_answered_once(eager: _Turns) -> None:
    eager.judge.state = EndOfTurnState.COMPLETE
    await eager.see(STARTED, STOPPED, _words(SHE, finalized=True))
    assert (eager.asked, eager.confirmed, eager.ended) == ([""], 0, 1)


async def test_a_template_may_have_no_answers_ahead(turns: _Turns) -> None:
    turns.judge.state = EndOfTurnState.INCOMPLETE
    await turns.see(STARTED, STOPPED, _words(SHE, finalized=True))
    await until(lambda: turns.ended == 1, 5)
    assert turns.asked == [""]


@pytest.mark.parametrize(
    ("text", "language", "unfinished"),
    [
        ("My number is", "en-US", True),
        ("We could do it on Wednesday, but", "en-US", True),
        ("Well, let me see,", "en-US", True),
        ("I would like to come on.", "en-US", True),
        ("I'm", "en-US", True),
        ("Yes, it is.", "en-US", False),
        ("Hold on.", "en-US", False),
        ("Where are you calling from?", "en-US", False),
        ("Yes.", "en-US", False),
        ("", "en-US", False),
        ("Ich komme am", "de-DE", True),
        ("Mal sehen...", "de-DE", True),
        ("Ja, das stimmt.", "de-DE", False),
        ("Quiero ir con", "es-MX", True),
        ("Sí, claro.", "es", False),
        ("and", "fi-FI", False),
    ],
)
def test_the_last_word_tells_whether_more_follows(
    text: str, language: str, unfinished: bool
) -> None:
    assert sounds_unfinished(text, language) is unfinished
