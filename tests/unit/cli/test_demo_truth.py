"""The truth, read from a ledger: what the network did and what was said decide, nothing else."""

from typing import Any

import pytest

from outdial_cli.demo.truth import Dial, attempt_in, dials, outcome_of, overlapping

pytestmark = pytest.mark.unit

ATTEMPT = "0192f0c1-0000-7000-8000-000000000001"


def call(**facts: Any) -> dict[str, Any]:
    plain = {
        "sid": "CA1",
        "to": "+12125550100",
        "from": "+15005550006",
        "person": "confirms",
        "posted_at": 100.0,
        "url": f"https://outdial.test/twilio/voice/{ATTEMPT}?pod=pod-1",
        "status": "completed",
        "sip_code": 200,
        "error_code": None,
        "answered_at": 102.0,
        "ended_at": 120.0,
        "ended_by": "caller",
        "utterances": [],
        "message_seconds": 0.0,
        "beep_at": None,
    }
    return {**plain, **facts}


def said(*intents: str | None) -> list[dict[str, Any]]:
    return [{"text": "...", "intent": i, "started_at": 1.0, "ended_at": 2.0} for i in intents]


@pytest.mark.parametrize(
    ("intents", "outcome"),
    [
        (["hello", "confirm", "bye"], "completed"),
        (["decline"], "completed"),
        (["hello", "confirm", "opt_out"], "opted_out"),
        (["wrong_person"], "wrong_person"),
        (["hello", "callback", "bye"], "callback"),
        (["screening", "confirm"], "completed"),
        (["hello"], "hung_up"),
        (["human"], "hung_up"),
        ([None, "backchannel"], "hung_up"),
    ],
)
def test_what_was_said_decides(intents: list[str | None], outcome: str) -> None:
    assert outcome_of(call(utterances=said(*intents))) == outcome


@pytest.mark.parametrize(("ended_by", "outcome"), [("caller", "silent"), ("person", "hung_up")])
def test_nobody_spoke(ended_by: str, outcome: str) -> None:
    assert outcome_of(call(ended_by=ended_by)) == outcome


@pytest.mark.parametrize(
    ("seconds", "beep", "outcome"),
    [(9.0, 4.0, "voicemail_left"), (0.4, 4.0, "machine"), (0.0, None, "machine")],
)
def test_a_machine_holds_a_message_or_does_not(
    seconds: float, beep: float | None, outcome: str
) -> None:
    machine = call(utterances=said("machine"), message_seconds=seconds, beep_at=beep)
    assert outcome_of(machine) == outcome


def test_a_fax_is_a_fax() -> None:
    assert outcome_of(call(person="fax")) == "fax"


@pytest.mark.parametrize(
    ("status", "sip", "outcome"),
    [
        ("busy", 486, "busy"),
        ("no-answer", 487, "no_answer"),
        ("failed", 404, "invalid_number"),
        ("failed", 500, "failed"),
        ("busy", 603, "declined"),
        ("canceled", 487, "canceled"),
    ],
)
def test_what_the_network_did_decides(status: str, sip: int, outcome: str) -> None:
    assert outcome_of(call(status=status, sip_code=sip, answered_at=None)) == outcome


def test_refused_posts_are_dials_too() -> None:
    post = {"at": 99.0, "to": "+1", "from": "+2", "url": call()["url"], "result": 21211}
    accepted = {**post, "result": "accepted"}
    other = {**post, "at": 98.0, "result": "21210"}
    found = dials({"calls": [call(utterances=said("confirm"))], "posts": [post, accepted, other]})
    assert [(d.attempt_id, d.outcome) for d in found] == [
        (ATTEMPT, "failed"),
        (ATTEMPT, "invalid_number"),
        (ATTEMPT, "completed"),
    ]


def test_a_call_of_somebody_else_names_no_attempt() -> None:
    assert attempt_in("https://example.test/voice") == ""


def _dial(number: str, began: float, ended: float | None) -> Dial:
    return Dial(ATTEMPT, number, "completed", "CA", began, ended, answered=True)


def test_two_calls_to_one_number_overlap() -> None:
    first, second = _dial("+1", 0, 10), _dial("+1", 9, 20)
    assert overlapping([first, _dial("+2", 1, 30), second]) == [(first, second)]
    assert overlapping([first, _dial("+1", 10.5, 20)]) == []
    assert len(overlapping([_dial("+1", 0, None), second])) == 1
