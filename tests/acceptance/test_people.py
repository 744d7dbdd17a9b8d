"""Every kind of person, called at once through POST /v1/calls, and judged by the ledger."""

import json
import re
import time
from collections import Counter
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
    "24": "transferred",
    "25": "completed",
    "26": "completed",
    "28": "completed",
}
TAKE_LONGEST = ("11", "19", "26", "28", "24", "03", "22", "23")
"""Are called first, so that all are done sooner."""
ALL_TOOLS = {"24", "26"}
"""Who needs a template with a transfer and keys."""
PREFIX = "+121255512"


@dataclass
class Evening:
    """What became of the lead of each person."""

    leads: dict[str, Json]
    calls: dict[str, list[Json]]
    ledger: dict[str, Any]


@pytest.fixture(scope="module")
def evening(
    api: ApiClient,
    reminder: str,
    reminder_with_all_tools: str,
    ledger: Callable[[], dict[str, Any]],
) -> Evening:
    """Ask for all calls at once, and wait until every lead is finished or scheduled."""
    ids = {
        ending: api.post(
            "/v1/calls",
            {
                "to_number": PREFIX + ending,
                "template": reminder_with_all_tools if ending in ALL_TOOLS else reminder,
                "name": "Maria Lopez",
                "variables": {"clinic": "Lakeside Clinic", "appointment": "Tuesday at ten thirty"},
            },
        )["lead_id"]
        for ending in (*TAKE_LONGEST, *sorted(set(EXPECTED) - set(TAKE_LONGEST)))
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
    # Facts go on being folded after the end: what counts is what is known now.
    leads |= {ending: api.get(f"/v1/leads/{ids[ending]}") for ending in leads}
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
    rang = Counter(call["to"].removeprefix(PREFIX) for call in evening.ledger["calls"])
    assert rang["02"] == rang["03"] == 2  # per_contact
    assert rang["00"] == rang["13"] == 1


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


TALKS = sorted(set(EXPECTED) - {"02", "03", "07", "08", "09", "10", "11"})
"""Whose words are heard."""


def words(text: str) -> str:
    """Without what a recogniser may write or leave out."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


@pytest.mark.parametrize("ending", TALKS)
def test_the_transcript_holds_what_was_said_and_nothing_else(evening: Evening, ending: str) -> None:
    placed = [call for call in evening.calls[ending] if call["call_sid"]]
    assert placed
    for call in placed:
        truth = next(c for c in evening.ledger["calls"] if c["sid"] == call["call_sid"])
        said = " ".join(words(part["text"]) for part in truth["utterances"])
        heard = [words(turn["text"]) for turn in call["transcript"] if turn["role"] == "person"]
        assert all(text in said for text in heard), (heard, said)


@pytest.mark.parametrize("ending", ["00", "01", "13", "15", "16", "17", "22", "24", "26", "28"])
def test_what_decided_the_call_stands_in_its_transcript(evening: Evening, ending: str) -> None:
    call = evening.calls[ending][-1]
    truth = next(c for c in evening.ledger["calls"] if c["sid"] == call["call_sid"])
    decisive = {"confirm", "decline", "opt_out", "wrong_person", "callback", "human", "repeat"}
    first = next(words(p["text"]) for p in truth["utterances"] if p["intent"] in decisive)
    heard = " ".join(words(t["text"]) for t in call["transcript"] if t["role"] == "person")
    assert first in heard


def test_a_sentence_that_was_talked_over_is_recorded_as_far_as_it_was_heard(
    evening: Evening,
) -> None:
    call = evening.calls["12"][-1]
    first, whole = (
        next(t for t in evening.calls[ending][-1]["transcript"] if t["role"] == "agent")
        for ending in ("12", "17")
    )
    assert first["interrupted"]
    assert first["text"]
    assert whole["text"].startswith(first["text"].rstrip("…").rstrip())
    assert len(first["text"]) < len(whole["text"])
    truth = next(c for c in evening.ledger["calls"] if c["sid"] == call["call_sid"])
    over = truth["utterances"][0]["started_at"]
    assert any(part["started_at"] < over < part["ended_at"] for part in truth["bot_speech"])


def test_a_listener_s_words_do_not_stop_the_agent(evening: Evening) -> None:
    """Judged by sound: the greeting is heard to its end, and then answered."""

    def greeted(ending: str) -> tuple[Json, dict[str, Any], float]:
        call = evening.calls[ending][-1]
        truth = next(c for c in evening.ledger["calls"] if c["sid"] == call["call_sid"])
        answered = next(
            part["started_at"]
            for part in truth["utterances"]
            if part["intent"] in {"confirm", "decline"}
        )
        heard = sum(
            part["ended_at"] - part["started_at"]
            for part in truth["bot_speech"]
            if part["ended_at"] < answered
        )
        return call, truth, heard

    call, truth, heard = greeted("21")
    whole = min(greeted(ending)[2] for ending in ("00", "17", "25"))
    assert truth["utterances"][0]["intent"] == "backchannel"
    assert heard >= whole - 0.2
    greeting = next(t for t in call["transcript"] if t["role"] == "agent" and "Ada" in t["text"])
    assert greeting["text"].endswith("Can you make it?")
    assert not greeting["interrupted"]


@pytest.mark.parametrize("ending", TALKS)
def test_every_talk_has_its_milestones(evening: Evening, ending: str) -> None:
    kinds = {event["kind"] for event in evening.calls[ending][-1]["events"]}
    wanted = {"stream_started", "conversation_closed"}
    if ending not in {"05", "06"}:  # a machine that hangs up may be gone before anything is said
        wanted |= {"first_audio_sent"}
    assert wanted <= kinds


def test_who_hears_badly_is_told_again_what_was_said(evening: Evening) -> None:
    turns = evening.calls["28"][-1]["transcript"]
    said = [words(turn["text"]) for turn in turns if turn["role"] == "agent"]
    asked = [words(turn["text"]) for turn in turns if turn["role"] == "person"]
    assert sum("again" in text or "repeat" in text or "what did" in text for text in asked) == 2
    greeted = [text for text in said if "this is ada" in text]
    assert len(greeted) == 3, f"the greeting, and twice once more: {said}"


def test_a_menu_is_left_by_its_keys_and_who_is_behind_it_is_talked_to(evening: Evening) -> None:
    call = evening.calls["26"][-1]
    pressed = next(tool for tool in call["tools"] if tool["name"] == "send_digits")
    assert (pressed["arguments"], pressed["result"]) == ({"digits": "1"}, {"pressed": "1"})
    said = [turn["text"] for turn in call["transcript"] if turn["role"] == "person"]
    assert any("who is this" in text for text in said), "who came after the key"


def test_who_screens_calls_is_told_who_calls_and_why(evening: Evening) -> None:
    turns = evening.calls["23"][-1]["transcript"]
    heard = [(turn["role"], words(turn["text"])) for turn in turns]
    asked = next(n for n, (role, text) in enumerate(heard) if role == "person")
    held = next(n for n, (_, text) in enumerate(heard) if "stay on the line" in text)
    answer = " ".join(text for role, text in heard[asked:held] if role == "agent")
    assert "automated assistant" in answer
    assert "appointment" in answer
    assert any("who is this" in text for role, text in heard[held:] if role == "person")


def test_a_fax_is_hung_up_on_and_a_full_mailbox_gets_no_message(evening: Evening) -> None:
    fax, full = (
        next(c for c in evening.ledger["calls"] if c["to"] == PREFIX + ending)
        for ending in ("06", "05")
    )
    assert fax["ended_by"] == "caller"
    assert not fax["utterances"]
    assert full["message_seconds"] in {None, 0}


def test_who_wants_a_human_meets_one(evening: Evening) -> None:
    (truth,) = [c for c in evening.ledger["calls"] if c["to"] == f"{PREFIX}24"]
    (leg,) = truth["legs"]
    assert (leg["person"], leg["whispered"], leg["status"]) == ("colleague", True, "completed")
    assert leg["heard_seconds"] > 0, "the colleague hears the person"
    said = " ".join(t["text"] for t in evening.calls["24"][-1]["transcript"])
    assert "connect you" in said


def test_both_pods_talked(evening: Evening) -> None:
    talked = {
        call["pod"] for calls in evening.calls.values() for call in calls if call["answered_at"]
    }
    assert talked == {"pod-1", "pod-2"}


def test_the_transcript_has_both_sides(evening: Evening) -> None:
    turns = evening.calls["00"][-1]["transcript"]
    assert {turn["role"] for turn in turns} == {"person", "agent"}
    assert any("Lakeside Clinic" in turn["text"] for turn in turns if turn["role"] == "agent")
