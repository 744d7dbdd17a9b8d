"""Every kind of person, called at once through POST /v1/calls, and judged by the ledger."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from outdial_cli.api_client import ApiClient, Json
from outdial_cli.demo import collect
from outdial_cli.demo.check import check
from outdial_cli.demo.truth import dials

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.xdist_group("stack"),
    pytest.mark.timeout(300),
]

# Who answers decides; "callback": waits in retry, because the person asked for tomorrow.
EXPECTED = {
    "00": "completed",
    "01": "completed",
    "02": "busy",
    "03": "no_answer",
    "04": "voicemail_left",
    "05": "machine",
    "06": "fax",
    "07": "invalid_number",
    "08": "invalid_number",
    "09": "declined",
    "10": "hung_up",
    "11": "silent",
    "12": "completed",
    "13": "opted_out",
    "14": "opted_out",
    "15": "wrong_person",
    "16": "callback",
    "17": "completed",
    "18": "completed",
    "19": "completed",
    "20": "completed",
    "21": "completed",
    "22": "completed",
    "23": "completed",
    "24": "hung_up",
    "25": "completed",
}
PREFIX = "+121255512"


@dataclass
class Evening:
    """What became of the lead of each person."""

    leads: dict[str, Json]
    calls: dict[str, list[Json]]
    ledger: dict[str, Any]


@pytest.fixture(scope="module")
def evening(api: ApiClient, reminder: str, ledger: Callable[[], dict[str, Any]]) -> Evening:
    """Ask for all calls at once, and wait until every lead is finished or scheduled."""
    ids = {
        ending: api.post(
            "/v1/calls",
            {
                "to_number": PREFIX + ending,
                "template": reminder,
                "name": "Maria Lopez",
                "variables": {"clinic": "Lakeside Clinic", "appointment": "Tuesday at ten thirty"},
            },
        )["lead_id"]
        for ending in EXPECTED
    }
    waiting = dict(ids)
    leads: dict[str, Json] = {}
    deadline = time.monotonic() + 200
    while waiting and time.monotonic() < deadline:
        for ending, lead_id in list(waiting.items()):
            lead = leads[ending] = api.get(f"/v1/leads/{lead_id}")
            scheduled = lead["state"] == "retry" and lead["scheduled_by"] == "person"
            if lead["state"] == "finished" or scheduled:
                del waiting[ending]
        time.sleep(0.5)
    calls = {
        ending: [
            api.get(f"/v1/calls/{attempt}")
            for attempt in api.get(f"/v1/calls/{lead_id}")["attempt_ids"]
        ]
        for ending, lead_id in ids.items()
    }
    return Evening(leads, calls, ledger())


@pytest.mark.parametrize("ending", EXPECTED)
def test_the_outcome_of_each_kind_of_person(evening: Evening, ending: str) -> None:
    lead = evening.leads[ending]
    said = collect.reported_lead(lead)
    outcome = "callback" if said.scheduled else lead["outcome"]
    told = [collect.transcript_of(call) for call in evening.calls[ending]]
    truth = [call for call in evening.ledger["calls"] if call["to"] == PREFIX + ending]
    assert outcome == EXPECTED[ending], "\n".join([*told, *map(json.dumps, truth)])


def test_outdial_and_the_ledger_agree_about_every_call(evening: Evening) -> None:
    ours = [dial for dial in dials(evening.ledger) if dial.number.startswith(PREFIX)]
    attempts = [collect.reported_attempt(c) for calls in evening.calls.values() for c in calls]
    leads = [collect.reported_lead(lead) for lead in evening.leads.values()]
    verdict = check(ours, leads, attempts)
    assert verdict.mismatches == []
    assert (verdict.double_dials, verdict.lost_leads) == (0, 0)


def test_who_was_busy_or_away_was_called_again(evening: Evening) -> None:
    assert [call["outcome"] for call in evening.calls["18"]] == ["busy", "completed"]
    assert [call["outcome"] for call in evening.calls["19"]] == ["no_answer", "completed"]


def test_nobody_is_called_more_often_than_the_template_allows(evening: Evening) -> None:
    assert len(evening.calls["02"]) == len(evening.calls["03"]) == 2  # per_contact
    assert len(evening.calls["00"]) == len(evening.calls["13"]) == 1


def test_the_agent_recorded_what_the_person_said(evening: Evening) -> None:
    assert evening.leads["00"]["result"]["status"] == "confirmed"
    assert evening.leads["17"]["result"]["status"] == "declined"


@pytest.mark.parametrize("ending", ["13", "14"])
def test_who_asked_not_to_be_called_is_suppressed(
    evening: Evening, api: ApiClient, ending: str
) -> None:
    found = api.get(f"/v1/suppressions/{PREFIX}{ending}")
    assert found["source"] == "call"


def test_the_voicemail_holds_the_whole_script(evening: Evening) -> None:
    voicemail = [c for c in evening.ledger["calls"] if c["to"] == f"{PREFIX}04"]
    assert voicemail[-1]["message_seconds"] > 5


def test_both_pods_talked(evening: Evening) -> None:
    talked = {
        call["pod"] for calls in evening.calls.values() for call in calls if call["answered_at"]
    }
    assert talked == {"pod-1", "pod-2"}


def test_the_transcript_has_both_sides(evening: Evening) -> None:
    turns = evening.calls["00"][-1]["transcript"]
    assert {turn["role"] for turn in turns} == {"person", "agent"}
    assert any("Lakeside Clinic" in turn["text"] for turn in turns if turn["role"] == "agent")
