"""What really happened, from the sandbox's ledger alone: the outcome that each call must have.

The ledger says what the network did and what was said on the line. Nothing of Outdial's rules is
used here, so that the two can disagree.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Json = Mapping[str, Any]

_ATTEMPT_IN_URL = re.compile(r"/twilio/voice/([0-9a-f-]{36})")

# What the person said decides, the gravest first; "callback" is no outcome but a wish.
_GRAVE = (("opt_out", "opted_out"), ("wrong_person", "wrong_person"))
_SAID = (
    ("callback", "callback"),
    ("confirm", "completed"),
    ("decline", "completed"),
)
_INVALID_SIP = {404, 484, 604}
_DECLINED_SIP = 603
_STATUSES = {"busy": "busy", "no-answer": "no_answer", "canceled": "canceled"}
_INVALID_CODES = {"13224", "21211", "21214", "21215", "21216", "21217", "21219"}

# A script of two sentences lasts over five seconds; a cough of the line does not.
_A_MESSAGE_SECONDS = 3.0


@dataclass(frozen=True)
class Dial:
    """One POST that named an attempt, and what became of it."""

    attempt_id: str
    number: str
    outcome: str  # an outcome of Outdial's, or "callback": the person asked for another time
    call_sid: str | None
    began: float  # epoch seconds
    ended: float | None  # None: still going on
    answered: bool


def dials(ledger: Json) -> list[Dial]:
    """Every dial in the ledger, in the order of the POSTs: those placed and those refused."""
    placed = [_placed(call) for call in ledger["calls"]]
    refused = [_refused(post) for post in ledger["posts"] if post["result"] != "accepted"]
    return sorted(placed + refused, key=lambda dial: dial.began)


def attempt_in(url: str) -> str:
    """The attempt that a call's URL names; empty for somebody else's call."""
    found = _ATTEMPT_IN_URL.search(url or "")
    return found.group(1) if found else ""


def outcome_of(call: Json) -> str:
    """The outcome that a placed call must have."""
    return _of_answered(call) if call["answered_at"] else _of_unanswered(call)


def overlapping(found: Iterable[Dial]) -> list[tuple[Dial, Dial]]:
    """Pairs of calls to one number that were going on at the same time."""
    by_number: dict[str, list[Dial]] = {}
    for dial in found:
        if dial.call_sid is not None:
            by_number.setdefault(dial.number, []).append(dial)
    return [
        (first, second)
        for calls in by_number.values()
        for first, second in pairwise(calls)
        if first.ended is None or second.began < first.ended
    ]


def _placed(call: Json) -> Dial:
    return Dial(
        attempt_id=attempt_in(call["url"]),
        number=call["to"],
        outcome=outcome_of(call),
        call_sid=call["sid"],
        began=call["posted_at"],
        ended=call["ended_at"],
        answered=bool(call["answered_at"]),
    )


def _refused(post: Json) -> Dial:
    outcome = "invalid_number" if str(post["result"]) in _INVALID_CODES else "failed"
    return Dial(
        attempt_in(post["url"]), post["to"], outcome, None, post["at"], post["at"], answered=False
    )


def _of_unanswered(call: Json) -> str:
    if call["sip_code"] == _DECLINED_SIP:
        return "declined"
    if call["sip_code"] in _INVALID_SIP:
        return "invalid_number"
    return _STATUSES.get(call["status"], "failed")


def _of_answered(call: Json) -> str:
    said = [utterance["intent"] for utterance in call["utterances"]]
    for intent, outcome in _GRAVE:
        if intent in said:
            return outcome
    if any(leg["bridged_at"] for leg in call.get("legs", ())):
        return "transferred"  # somebody was put through
    for intent, outcome in _SAID:
        if intent in said:
            return outcome
    if call["person"] == "fax":
        return "fax"
    if "machine" in said or call["beep_at"] is not None:
        left = (call["message_seconds"] or 0) >= _A_MESSAGE_SECONDS
        return "voicemail_left" if left else "machine"
    if not said and call["ended_by"] != "person":
        return "silent"
    return "hung_up"
