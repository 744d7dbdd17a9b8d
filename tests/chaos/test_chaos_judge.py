"""What the judge of the trial calls a double dial, and what a lost lead."""

from typing import Any

import pytest

from parts.judge import judge

pytestmark = pytest.mark.unit

LEAD = {"id": 1, "phone": "+1", "state": "finished", "outcome": "busy", "live_attempt_id": None}
LEAD |= {"next_attempt_at": None}
TRY = {"lead_id": 1, "phone": "+1", "state": "ended", "spent": True, "outcome": "busy"}
TRY |= {"end_reason": "carrier"}


def tried(number: int, **changes: Any) -> dict[str, Any]:
    return {**TRY, "id": f"a{number}", "call_sid": f"CA{number}", "queued_at": number, **changes}


def call(number: int, **changes: Any) -> dict[str, Any]:
    entry = {"sid": f"CA{number}", "to": "+1", "status": "busy", "sip_code": 486}
    return {**entry, "answered_at": None, "ended_at": 1.0, **changes}


def post(number: int, **changes: Any) -> dict[str, Any]:
    named = {"sid": f"CA{number}", "named": f"a{number}"}
    return {"to": "+1", "result": "accepted", **named, **changes}


def ledger(calls: list[Any], posts: list[Any], overlapping: Any = ()) -> dict[str, Any]:
    return {"calls": calls, "posts": posts, "overlapping": list(overlapping)}


TWICE = [call(1), call(2)], [post(1), post(2)]


def said(leads: list[Any], attempts: list[Any], seen: Any) -> set[str]:
    verdict = judge(leads, attempts, seen, max_retries=1)
    return {offence.what for offence in (*verdict.double_dials, *verdict.lost_leads)}


def test_two_tries_that_were_busy_are_no_offence() -> None:
    assert said([LEAD], [tried(1), tried(2)], ledger(*TWICE)) == set()


def test_a_second_post_of_an_attempt_is_one_even_if_refused() -> None:
    seen = ledger(TWICE[0], [*TWICE[1], post(2, result=20429, sid=None)])
    assert said([LEAD], [tried(1), tried(2)], seen) == {"second POST of an attempt"}


def test_two_calls_at_one_time_are_one() -> None:
    seen = ledger(*TWICE, overlapping=[("CA1", "CA2")])
    assert said([LEAD], [tried(1), tried(2)], seen) == {"two calls at one time"}


def test_a_dial_that_no_attempt_counts_is_one() -> None:
    seen = ledger([*TWICE[0], call(3)], [*TWICE[1], post(3)])
    assert said([LEAD], [tried(1), tried(2)], seen) == {"more dials than spent attempts"}


def test_a_dialed_attempt_that_says_it_was_not_is_one() -> None:
    unspent = tried(3, spent=False, outcome="technical_failure", end_reason="not_sent")
    seen = ledger([*TWICE[0], call(3)], [*TWICE[1], post(3)])
    found = said([LEAD], [tried(1), tried(2), unspent], seen)
    assert found == {"dialed, and said to be unspent"}


@pytest.mark.parametrize(
    ("lead", "attempts", "offence"),
    [
        ({"state": "retry", "outcome": None}, [tried(1)], "waiting, without a time"),
        (
            {"state": "active", "outcome": None, "live_attempt_id": "a1"},
            [tried(1)],
            "active, without a live attempt",
        ),
        ({}, [tried(1), tried(2, state="ringing", spent=None)], "finished, with a live attempt"),
        ({}, [tried(1)], "given up before its last try"),
        (
            {"outcome": "no_answer"},
            [tried(1), tried(2)],
            "finished with a word that is not its last attempt's",
        ),
        ({}, [tried(1), tried(2), tried(3)], "tried more often than allowed"),
        ({"phone": "+2"}, [tried(1), tried(2)], "finished, and never called"),
        ({}, [tried(1, outcome="no_answer"), tried(2)], "against the ledger"),
        ({}, [tried(1, call_sid="CA2"), tried(2)], "bound to a call that is not its own"),
    ],
    ids=["waiting", "active", "live", "early", "word", "often", "never", "ledger", "bound"],
)
def test_a_lead_is_lost(lead: dict[str, Any], attempts: list[Any], offence: str) -> None:
    assert offence in said([{**LEAD, **lead}], attempts, ledger(*TWICE))


def test_an_answered_call_is_not_told_as_one_that_nobody_took() -> None:
    calls = [call(1), call(2, answered_at=1.0, status="completed", sip_code=200)]
    assert said([LEAD], [tried(1), tried(2)], ledger(calls, TWICE[1])) == {"against the ledger"}


def test_a_declined_call_is_busy_only_to_whom_nobody_told_the_end() -> None:
    def declined(result: Any) -> dict[str, Any]:
        sent = [{"purpose": "status", "event": "completed", "result": result}]
        return call(1, sip_code=603, webhooks=sent)

    tries = [tried(1), tried(2)]
    lost = ledger([declined("lost"), call(2)], TWICE[1])
    assert said([LEAD], tries, lost) == set()
    told = ledger([declined(204), call(2)], TWICE[1])
    assert said([LEAD], tries, told) == {"against the ledger"}
