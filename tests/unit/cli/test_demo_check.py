"""The comparison that decides whether the demo may call itself clean."""

from dataclasses import replace

import pytest

from outdial_cli.demo.check import ReportedAttempt, ReportedLead, check
from outdial_cli.demo.truth import Dial

pytestmark = pytest.mark.unit

DIAL = Dial("a1", "+1", "completed", "CA1", 0.0, 10.0, answered=True)
ATTEMPT = ReportedAttempt("a1", "l1", "completed", spent=True)
LEAD = ReportedLead("l1", "Maria", "finished", "completed", "policy", None, None)


def test_all_is_well() -> None:
    assert check([DIAL], [LEAD], [ATTEMPT]).is_clean


def test_an_outcome_that_differs_is_named_with_both_words() -> None:
    verdict = check([replace(DIAL, outcome="opted_out")], [LEAD], [ATTEMPT])
    assert [m["truth"] for m in verdict.mismatches] == ["opted_out", "opted_out"]
    assert {m["outdial"] for m in verdict.mismatches} == {"completed"}


def test_a_call_that_outdial_does_not_know_is_a_mismatch() -> None:
    verdict = check([DIAL, replace(DIAL, attempt_id="")], [LEAD], [ATTEMPT])
    assert verdict.mismatches


def test_a_lead_must_have_its_last_calls_word() -> None:
    earlier = replace(DIAL, attempt_id="a0", outcome="busy", began=-20, ended=-10)
    busy = ReportedAttempt("a0", "l1", "busy", spent=True)
    assert check([earlier, DIAL], [LEAD], [busy, ATTEMPT]).is_clean
    wrong = replace(LEAD, outcome="busy")
    assert check([earlier, DIAL], [wrong], [busy, ATTEMPT]).mismatches


def test_a_lead_that_waits_for_the_person_is_no_mismatch() -> None:
    asked = replace(DIAL, outcome="callback")
    attempt = replace(ATTEMPT, outcome="callback")
    waits = ReportedLead("l1", "Maria", "retry", None, "person", "2030-01-01T00:00:00Z", None)
    assert check([asked], [waits], [attempt]).is_clean
    assert check([asked], [LEAD], [attempt]).mismatches


@pytest.mark.parametrize(
    "second",
    [
        replace(DIAL, began=20.0, ended=30.0),  # a second POST for one attempt
        replace(DIAL, attempt_id="a2", began=5.0, ended=30.0),  # two calls at once
    ],
)
def test_double_dials_are_counted(second: Dial) -> None:
    attempts = [ATTEMPT, replace(ATTEMPT, attempt_id="a2")]
    assert check([DIAL, second], [LEAD], attempts).double_dials > 0


def test_more_dials_than_spent_attempts_are_double_dials() -> None:
    second = replace(DIAL, attempt_id="a2", began=20.0, ended=30.0)
    unspent = replace(ATTEMPT, attempt_id="a2", spent=False)
    assert check([DIAL, second], [LEAD], [ATTEMPT, unspent]).double_dials == 1


@pytest.mark.parametrize(
    ("lead", "found"),
    [
        (replace(LEAD, state="retry", outcome=None), [DIAL]),  # nothing to come
        (LEAD, []),  # finished, and nobody was called
    ],
)
def test_lost_leads_are_counted(lead: ReportedLead, found: list[Dial]) -> None:
    assert check(found, [lead], [ATTEMPT]).lost_leads == 1
