"""What the events of an attempt say together, case by case."""

from datetime import UTC, datetime, timedelta

import pytest

from outdial.domain.attempt_state import AttemptState, EndReason
from outdial.domain.call_events import Event, Source
from outdial.domain.call_outcome import EndedBy
from outdial.domain.fold_events import fold

pytestmark = pytest.mark.unit

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SID = "CA" + "1" * 32


def status(name: str, sequence: int | None, at: float = 0, sid: str = SID, **form: str) -> Event:
    payload = {"CallStatus": name, **form}
    if sequence is not None:
        payload["SequenceNumber"] = str(sequence)
    return Event(
        Source.CARRIER, "status", f"{sid}:{sequence}", START + timedelta(seconds=at), sid, payload
    )


def pod(kind: str, key: str = "", after: float = 5, **payload: object) -> Event:
    return Event(Source.POD, kind, key or kind, START + timedelta(seconds=after), None, payload)


def tool(name: str, after: float = 10, **arguments: object) -> Event:
    key = f"call_{name}_{after}"
    return pod("tool_called", key, after, call_id=key, name=name, arguments=arguments)


def closed(after: float = 20, stream_no: int = 1, **payload: object) -> Event:
    key = f"conversation_closed:{stream_no}"
    return pod("conversation_closed", key, after, stream_no=stream_no, **payload)


def dialer(kind: str, **payload: object) -> Event:
    return Event(Source.DIALER, kind, kind, START, None, payload)


STREAM = pod("stream_started", "stream_started:1", 3, stream_no=1)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], AttemptState.QUEUED),
        ([dialer("outcome_unknown", reason="timeout")], AttemptState.UNKNOWN),
        ([dialer("accepted", call_sid=SID)], AttemptState.INITIATED),
        ([status("initiated", 0)], AttemptState.INITIATED),
        ([status("ringing", 1)], AttemptState.RINGING),
        ([status("in-progress", 2)], AttemptState.IN_PROGRESS),
        ([status("in-progress", 2), status("ringing", 1, at=9)], AttemptState.IN_PROGRESS),
        ([STREAM], AttemptState.IN_PROGRESS),
        ([status("busy", 2)], AttemptState.ENDED),
        ([status("busy", 2), status("ringing", 1, at=9)], AttemptState.ENDED),
        ([dialer("rejected", code=21211)], AttemptState.ENDED),
        ([dialer("gate_refused", reason="suppressed")], AttemptState.ENDED),
        ([STREAM, status("completed", 3)], AttemptState.IN_PROGRESS),
        ([STREAM, closed()], AttemptState.IN_PROGRESS),
        ([STREAM, status("completed", 3), closed()], AttemptState.ENDED),
        ([status("completed", 3)], AttemptState.ENDED),
    ],
)
def test_state_is_the_furthest_that_events_prove(events: list[Event], state: AttemptState) -> None:
    assert fold(events).state is state


def test_an_answered_call_over_at_the_carrier_waits_for_its_pod() -> None:
    over = fold([STREAM, status("completed", 3)])
    assert over.terminal
    assert over.awaits_pod
    assert not fold([STREAM, status("completed", 3), closed()]).awaits_pod
    assert not fold([STREAM]).awaits_pod


def test_the_close_of_a_lost_stream_is_not_the_last_word_on_a_resumed_call() -> None:
    second = pod("stream_started", "stream_started:2", 12, stream_no=2)
    events = [STREAM, closed(11, human_turns=2), second, status("completed", 3, at=30)]
    assert fold(events).awaits_pod
    done = fold([*events, closed(31, stream_no=2, human_turns=1, ended_by="agent", reason="x")])
    assert done.state is AttemptState.ENDED
    assert done.facts.human_turns == 3
    assert (done.facts.ended_by, done.facts.close_reason) == (EndedBy.AGENT, "x")


def test_carrier_facts_come_from_the_final_status() -> None:
    folded = fold(
        [
            status("ringing", 1, at=2),
            status("failed", 3, at=9, SipResponseCode="603", CallDuration="0", ErrorCode="13225"),
            status("in-progress", 2, at=11, SipResponseCode="200"),
        ]
    )
    assert folded.facts.carrier_status == "failed"
    assert (folded.facts.sip_code, folded.facts.error_code) == (603, 13225)
    assert folded.ended_at == START + timedelta(seconds=9)
    assert folded.ringing_at == START + timedelta(seconds=2)
    assert folded.end_reason is EndReason.CARRIER


def test_a_reported_end_says_more_than_one_asked_for() -> None:
    asked = Event(
        Source.RECONCILE,
        "carrier_call",
        f"{SID}:failed",
        START,
        SID,
        {"call_sid": SID, "status": "failed", "duration": "0"},
    )
    assert fold([asked]).state is AttemptState.ENDED
    told = status("failed", 2, SipResponseCode="404")
    assert fold([asked, told]).facts.sip_code == 404


@pytest.mark.parametrize(
    ("lost", "answered"),
    [
        ([status("in-progress", 2, at=4), STREAM], 4),
        ([STREAM], 3),
        ([Event(Source.GATEWAY, "answered", "answered:1", START + timedelta(seconds=2))], 2),
        ([status("completed", 3, at=30, CallDuration="12")], 18),
        ([status("no-answer", 2, at=30, CallDuration="0")], None),
    ],
)
def test_the_answer_is_known_even_if_its_callback_was_lost(
    lost: list[Event], answered: int | None
) -> None:
    expected = None if answered is None else START + timedelta(seconds=answered)
    assert fold(lost).answered_at == expected
    assert fold(lost).facts.answered == (answered is not None)


def test_what_is_said_of_another_call_is_left_out() -> None:
    other = "CA" + "2" * 32
    events = [dialer("accepted", call_sid=SID), status("busy", 1, sid=other)]
    assert fold(events).call_sid == SID
    assert fold(events).state is AttemptState.INITIATED
    assert fold([status("busy", 1)], bound_sid=other).state is AttemptState.QUEUED


@pytest.mark.parametrize(
    ("sources", "verdict"),
    [
        (["amd", "status", "lookup"], "machine_end_beep"),
        (["status", "lookup"], "machine_start"),
        (["lookup"], "human"),
        ([], None),
    ],
)
def test_the_verdict_has_one_best_source(sources: list[str], verdict: str | None) -> None:
    known = {
        "amd": Event(Source.AMD, "verdict", SID, START, SID, {"AnsweredBy": "machine_end_beep"}),
        "status": status("completed", 3, AnsweredBy="machine_start"),
        "lookup": Event(
            Source.RECONCILE, "carrier_call", SID, START, SID, {"answered_by": "human"}
        ),
    }
    assert fold(known[name] for name in sources).facts.answered_by == verdict


def test_tools_become_facts() -> None:
    folded = fold(
        [
            tool("record_outcome", after=10, status="declined"),
            tool("record_outcome", after=12, status="confirmed"),
            tool("opt_out"),
            tool("wrong_person"),
            tool("voicemail_reached"),
            tool("end_call", reason="done"),
        ]
    )
    facts = folded.facts
    assert facts.result == {"status": "confirmed"}
    assert facts.opted_out
    assert facts.wrong_person
    assert facts.voicemail_reached


def test_end_call_says_nothing_about_the_outcome() -> None:
    assert fold([tool("end_call", status="confirmed")]).facts == fold([tool("else")]).facts


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        ({"at": "2026-11-22T09:00:00+00:00"}, 86_400),
        ({"at": "2026-11-22T10:00:00+01:00"}, 86_400),
        ({"at": "2026-11-22T09:00:00Z"}, 86_400),
        ({"in_minutes": 30}, 10 + 1800),
        ({"in_minutes": "1.5"}, 10 + 90),
        ({"at": "2026-11-22T09:00:00"}, None),  # in which zone?
        ({"at": "tomorrow"}, None),
        ({"at": None}, None),
        ({"at": "2026-11-20T09:00:00Z"}, None),  # past
        ({"at": "2099-01-01T00:00:00Z"}, None),
        ({"in_minutes": -1}, None),
        ({"in_minutes": "nan"}, None),
        ({"in_minutes": 1e300}, None),
        ({"in_minutes": "soon"}, None),
        ({"in_minutes": None}, None),
        ({}, None),
    ],
)
def test_callback_time(arguments: dict[str, object], seconds: float | None) -> None:
    expected = None if seconds is None else START + timedelta(seconds=seconds)
    assert fold([tool("schedule_callback", **arguments)]).facts.callback_at == expected


def test_a_malformed_callback_does_not_undo_a_good_one() -> None:
    events = [
        tool("schedule_callback", after=10, in_minutes=5),
        tool("schedule_callback", after=12, at="x"),
    ]
    assert fold(events).facts.callback_at is not None


@pytest.mark.parametrize("arguments", [None, "[]", ["x"], 7])
def test_arguments_of_no_shape_are_no_arguments(arguments: object) -> None:
    event = pod("tool_called", "c", call_id="c", name="record_outcome", arguments=arguments)
    assert fold([event]).facts.result == {}


def test_a_stream_that_ended_without_its_pods_word_was_lost() -> None:
    ended = Event(
        Source.STREAM,
        "ended",
        f"{SID}:1",
        START,
        SID,
        {"CallStatus": "in-progress", "stream_no": 1},
    )
    assert fold([STREAM, ended]).facts.stream_lost
    assert not fold([STREAM, ended, closed()]).facts.stream_lost
    hung_up = Event(Source.STREAM, "ended", f"{SID}:1", START, SID, {"CallStatus": "completed"})
    assert not fold([STREAM, hung_up]).facts.stream_lost


def test_words_heard_count_though_the_pod_died() -> None:
    heard = pod("first_words_heard", "first_words_heard:1", stream_no=1, ms=900)
    assert fold([STREAM, heard]).facts.human_turns == 1
    assert fold([STREAM, closed(human_turns="nonsense")]).facts.human_turns == 0
