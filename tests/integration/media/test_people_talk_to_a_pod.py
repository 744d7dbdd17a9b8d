"""Real calls without a carrier: the sandbox's people, its providers, and a pod between them."""

import asyncio
import random
import threading
from datetime import timedelta

import numpy as np
import pytest

from calls import closed_record, make_call, socket_url
from conftest import RunningPod
from media_line import MediaLine, open_line
from outdial.operations.conversation_record import SpokenTurn, save_turn
from outdial.operations.hang_up_call import hang_up_call
from outdial.storage import attempts, suppressions
from outdial_sandbox.people.behaviour import (
    Behaviour,
    Frame,
    HangUp,
    MachineFacts,
    Utterance,
)
from outdial_sandbox.people.people import who_answers
from outdial_sandbox.people.talker import AfterBot, Move, Talker, WhileBot
from outdial_sandbox.people.voice import Samples, synthesise
from polling import until

pytestmark = pytest.mark.integration

_ENDING = (Move(AfterBot(2.0), say="bye", hang_up=1.0),)


def somebody(ending: str) -> Behaviour:
    """The person or machine that answers numbers with this ending."""
    return who_answers(f"+120255501{ending}").start(random.Random(int(ending)).randrange(1000))


class Mumbles:
    """Says something that the sandbox's ears do not know, once the agent is silent; then waits."""

    machine: MachineFacts | None = None

    def __init__(self, words: Samples) -> None:
        self.utterances: list[Utterance] = []
        self._chance = np.random.default_rng(1)
        self._words = words
        self._agent_spoke = False
        self._quiet_frames = 0
        self._said = 0

    def frame(self, heard: Frame) -> Frame | HangUp:
        """Noise, and the words half a second after the agent's."""
        loud = bool(len(heard)) and int(np.abs(heard.astype(np.int32)).max()) > 300
        self._agent_spoke = self._agent_spoke or loud
        self._quiet_frames = 0 if loud else self._quiet_frames + 1
        sound = self._chance.normal(0, 20, 160)
        if self._said or (self._agent_spoke and self._quiet_frames > 25):
            part = self._words[self._said : self._said + 160]
            sound[: len(part)] += part
            self._said += len(part)
        return np.rint(sound).astype(np.int16)


async def until_closed(line: MediaLine, seconds: float = 90) -> None:
    async with asyncio.timeout(seconds):
        await line.closed.wait()


async def test_a_one_word_answer_is_recorded_and_the_call_ends_with_a_goodbye(
    pod: RunningPod,
) -> None:
    called = await make_call(pod.runtime)
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), somebody("01")) as line:
        await until_closed(line)
    record = await closed_record(pod.runtime, called.attempt_id)

    assert line.agent_was_heard.is_set()
    assert record.turns[0].role == "agent"
    assert record.turns[0].text == "Hello Ann, this is Ada. Can you come on Monday at ten?"
    assert sorted(turn.position for turn in record.turns) == list(range(len(record.turns)))
    outcome = next(tool for tool in record.tools if tool.name == "record_outcome")
    assert outcome.arguments["status"] == "confirmed"
    assert outcome.result == {"recorded": True}
    told = [event.payload for event in record.events if event.kind == "tool_called"]
    assert any(t["name"] == "record_outcome" and t["arguments"] == outcome.arguments for t in told)
    assert {"stream_started", "first_audio_sent", "first_words_heard"} <= {
        event.kind for event in record.events
    }
    assert record.payload("conversation_closed")["human_turns"] >= 1
    assert record.events[-1].kind == "conversation_closed"


async def test_speech_over_the_agent_stops_it_and_only_what_was_heard_is_kept(
    pod: RunningPod,
) -> None:
    greeting = "Hello Ann, this is Ada. I call about the appointment that you have with the clinic "
    called = await make_call(pod.runtime, agent={"greeting": greeting + "on Monday at ten."})
    person = Talker("talks_over", (Move(WhileBot(1.5), say="confirm_over"), *_ENDING)).start(1)
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), person) as line:
        await until_closed(line)
    record = await closed_record(pod.runtime, called.attempt_id)

    assert line.clears >= 1
    first = record.turns[0]
    assert (first.role, first.interrupted) == ("agent", True)
    assert first.text
    assert len(first.text) < len(greeting)
    assert greeting.startswith(first.text)
    assert record.turns[1].role == "person"


async def test_a_listener_s_words_do_not_stop_the_agent(pod: RunningPod) -> None:
    greeting = (
        "Hello Ann, this is Ada. I call about the appointment that you have with the clinic on "
        "Monday at ten. Can you come?"
    )
    called = await make_call(pod.runtime, agent={"greeting": greeting})
    listens = Move(WhileBot(1.5), say="backchannel")
    person = Talker("listens", (listens, Move(AfterBot(), say="confirm"), *_ENDING)).start(1)
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), person) as line:
        await until_closed(line)
    record = await closed_record(pod.runtime, called.attempt_id)

    assert line.clears >= 1, "it fell silent until it was known what was said"
    first, second = record.turns[:2]
    assert (first.text, first.interrupted) == (greeting, False)
    assert (second.role, (second.raw or {}).get("backchannel")) == ("person", True)
    assert [u.intent for u in person.utterances][:2] == ["backchannel", "confirm"]
    others = [t for t in record.turns if t.role == "person" and t is not second]
    assert record.payload("conversation_closed")["human_turns"] == len(others)
    outcome = next(tool for tool in record.tools if tool.name == "record_outcome")
    assert outcome.arguments["status"] == "confirmed"


async def test_an_opt_out_is_acted_on_and_answered(pod: RunningPod) -> None:
    called = await make_call(pod.runtime)
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), somebody("13")) as line:
        await until_closed(line)
    record = await closed_record(pod.runtime, called.attempt_id)

    assert "opt_out" in [tool.name for tool in record.tools]
    async with pod.runtime.sessions.begin() as session:
        assert await suppressions.is_suppressed(session, called.phone)
    assert "not be called again" in record.turns[-1].text or record.turns[-1].role == "person"


async def test_an_opt_out_counts_although_the_person_hangs_up_at_once(pod: RunningPod) -> None:
    called = await make_call(pod.runtime)
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), somebody("14")) as line:
        await until_closed(line)
    record = await closed_record(pod.runtime, called.attempt_id)

    assert line.ended_by == "person"
    async with pod.runtime.sessions.begin() as session:
        assert await suppressions.is_suppressed(session, called.phone)
    told = [event.payload["name"] for event in record.events if event.kind == "tool_called"]
    assert told == ["opt_out"]
    closing = record.payload("conversation_closed")
    assert (closing["ended_by"], closing["human_turns"]) == ("person", 1)
    assert record.events[-1].kind == "conversation_closed"


async def test_speech_that_is_not_understood_is_asked_for_again(pod: RunningPod) -> None:
    called = await make_call(pod.runtime)
    words = synthesise("Rumpelstiltskin bamboozled the quaint flibbertigibbet.", "en-us", 220)
    person = Mumbles(words)
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), person) as line:
        await until_closed(line)
    record = await closed_record(pod.runtime, called.attempt_id)

    assert [turn.role for turn in record.turns[:2]] == ["agent", "agent"]
    assert record.turns[1].text != "Hello? Are you still there?", "answered, not prompted"
    assert record.turns[1].latency_ms is not None


async def test_a_machine_gets_the_message_after_its_beep(pod: RunningPod) -> None:
    called = await make_call(pod.runtime)
    machine = somebody("04")
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), machine) as line:
        await until_closed(line, 90)
    record = await closed_record(pod.runtime, called.attempt_id)

    assert record.event("voicemail_left") is not None
    assert "Please call us back to confirm." in record.turns[-1].text
    assert machine.machine is not None
    assert machine.machine.message_seconds > 3
    assert record.payload("conversation_closed")["reason"] == "voicemail_left"
    assert record.attempt.plan == "hangup"


async def test_silence_is_asked_twice_and_then_left_alone(pod: RunningPod) -> None:
    idle = {"seconds": 1.0, "prompts": ["Hello?", "Are you there?"], "goodbye": "Goodbye then."}
    called = await make_call(pod.runtime, agent={"idle": idle, "greeting": "Hello."})
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), somebody("11")) as line:
        await until_closed(line)
    record = await closed_record(pod.runtime, called.attempt_id)

    said = ["Hello.", "Hello?", "Are you there?", "Goodbye then."]
    assert [turn.text for turn in record.turns] == said
    closing = record.payload("conversation_closed")
    assert (closing["ended_by"], closing["reason"], closing["human_turns"]) == ("agent", "idle", 0)


async def test_a_call_lasts_no_longer_than_its_template_allows_since_its_answer(
    pod: RunningPod,
) -> None:
    """Also where its first stream was lost: the second one does not begin to count anew."""
    long_ago = timedelta(minutes=3) - timedelta(seconds=4)
    called = await make_call(pod.runtime, agent={"max_minutes": 3}, answered_ago=long_ago)
    async with pod.runtime.sessions.begin() as session:
        assert await attempts.next_stream(session, called.attempt_id, 1)
    url = socket_url(pod.runtime, called, pod.pod.boot_id, stream_no=2)
    async with open_line(url, somebody("11")) as line:
        await until_closed(line)
    record = await closed_record(pod.runtime, called.attempt_id)

    assert record.payload("conversation_closed")["reason"] == "longest_call"
    assert "have to end our call" in record.turns[-1].text


async def test_an_operator_can_end_a_call_that_goes_on(pod: RunningPod) -> None:
    called = await make_call(pod.runtime)
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), somebody("11")) as line:
        await line.agent_was_heard.wait()
        await hang_up_call(pod.runtime, called.attempt_id)
        await until_closed(line, 5)
    record = await closed_record(pod.runtime, called.attempt_id)

    closing = record.payload("conversation_closed")
    assert (closing["ended_by"], closing["reason"]) == ("system", "canceled")


async def test_a_call_whose_stream_was_lost_goes_on_from_its_transcript(pod: RunningPod) -> None:
    runtime = pod.runtime
    called = await make_call(runtime)
    turns = [SpokenTurn("agent", "Can you come on Monday?"), SpokenTurn("person", "Yes.")]
    for position, turn in enumerate(turns):
        await save_turn(runtime, called.attempt_id, 1, position, turn)
    async with runtime.sessions.begin() as session:
        assert await attempts.next_stream(session, called.attempt_id, 1)
    url = socket_url(runtime, called, pod.pod.boot_id, stream_no=2)
    async with open_line(url, somebody("11")) as line:
        await until_closed(line)
    record = await closed_record(runtime, called.attempt_id)

    again = [turn for turn in record.turns if turn.stream_no == 2]
    assert "interrupted for a moment" in again[0].text
    assert "Ann" not in again[0].text, "nobody is greeted twice"
    # The answer that the lost pod owed is given: the outcome of that "yes" is recorded.
    outcome = next(tool for tool in record.tools if tool.name == "record_outcome")
    assert (outcome.stream_no, outcome.arguments["status"]) == (2, "confirmed")
    assert record.payload("conversation_closed")["stream_no"] == 2


async def test_a_finished_call_leaves_nothing_behind(pod: RunningPod) -> None:
    async def call() -> None:
        called = await make_call(pod.runtime)
        url = socket_url(pod.runtime, called, pod.pod.boot_id)
        async with open_line(url, somebody("10")) as line:
            await until_closed(line)
        await closed_record(pod.runtime, called.attempt_id)
        await until(lambda: not pod.pod.calls)

    await call()  # the first one opens connections that stay
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    await asyncio.gather(*(call() for _ in range(3)))
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    assert threading.active_count() <= threads + 1  # Smart Turn's one thread may have begun
