"""Double dials and lost leads, by our rows and the carrier's ledger.

Pure: rows and ledger in, offences out. What a call came to is read from the ledger, by a table of
this file's own; the product's rules are not asked.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]

# What the carrier did, and the words that may stand for it. An answered call may have come to
# anything that a conversation comes to, but to none of the words for a telephone nobody took up.
_UNANSWERED = {
    "busy": {"busy"},
    "declined": {"declined"},
    "no-answer": {"no_answer"},
    "failed": {"failed", "invalid_number"},
    "canceled": {"canceled", "technical_failure"},
}
_NEVER_TAKEN_UP = frozenset({"busy", "declined", "no_answer", "invalid_number", "canceled"})
_TRIED_AGAIN = frozenset(
    {
        "busy",
        "declined",
        "no_answer",
        "failed",
        "canceled",
        "machine",
        "technical_failure",
        "silent",
    }
)
_SHOWN = 50


@dataclass(frozen=True)
class Offence:
    """Something that must not be; `what` is one of the words below."""

    what: str
    phone: str
    detail: str


@dataclass
class Verdict:
    """What was found."""

    double_dials: list[Offence] = field(default_factory=list)
    lost_leads: list[Offence] = field(default_factory=list)

    def examples(self) -> list[dict[str, str]]:
        """For the report."""
        found = [*self.double_dials, *self.lost_leads][:_SHOWN]
        return [vars(offence) for offence in found]


def judge(
    leads: Sequence[Row], attempts: Sequence[Row], ledger: Mapping[str, Any], max_retries: int
) -> Verdict:
    """`leads` and `attempts` are rows; `ledger` is that of the sandbox, whole."""
    tried: dict[Any, list[Row]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda row: row["queued_at"]):
        tried[attempt["lead_id"]].append(attempt)
    calls = {call["sid"]: call for call in ledger["calls"]}
    placed = {p["named"]: p for p in ledger["posts"] if p["result"] == "accepted"}
    dials = Counter(post["to"] for post in placed_posts(ledger))
    posts = Counter(post["to"] for post in ledger["posts"])
    verdict = Verdict()
    verdict.double_dials += _repeated(ledger["posts"])
    verdict.double_dials += _overlapping(ledger["overlapping"], calls)
    for lead in leads:
        mine = tried[lead["id"]]
        verdict.double_dials += _more_dials_than_spent(lead, mine, dials[lead["phone"]], placed)
        verdict.lost_leads += _standing(lead, mine)
        verdict.lost_leads += _finished_wrongly(lead, mine, posts[lead["phone"]], max_retries)
        verdict.lost_leads += [o for one in mine if (o := _contradicted(one, calls, placed))]
    return verdict


def placed_posts(ledger: Mapping[str, Any]) -> list[Row]:
    """POSTs that made a telephone ring."""
    return [post for post in ledger["posts"] if post["result"] == "accepted"]


def _repeated(posts: Iterable[Row]) -> list[Offence]:
    """Every POST after the first that names an attempt, refused ones too."""
    seen: set[str] = set()
    found = []
    for post in posts:
        name = post["named"]
        if name in seen:
            found.append(Offence("second POST of an attempt", post["to"], str(name)))
        seen.add(name)
    return found


def _overlapping(pairs: Iterable[Sequence[str]], calls: Mapping[str, Row]) -> list[Offence]:
    return [
        Offence("two calls at one time", calls.get(second, {}).get("to", "?"), f"{first} {second}")
        for first, second in pairs
    ]


def _more_dials_than_spent(
    lead: Row, mine: Sequence[Row], dials: int, placed: Mapping[str, Row]
) -> list[Offence]:
    """A live attempt may have been dialed once; an ended one only if it says so."""
    counted = sum(1 for one in mine if one["spent"] or one["state"] not in {"queued", "ended"})
    denied = [
        Offence("dialed, and said to be unspent", lead["phone"], f"{one['id']} {one['end_reason']}")
        for one in mine
        if one["spent"] is False and str(one["id"]) in placed
    ]
    if dials > counted and not denied:
        return [Offence("more dials than spent attempts", lead["phone"], f"{dials} > {counted}")]
    return denied


def _standing(lead: Row, mine: Sequence[Row]) -> list[Offence]:
    """An unfinished lead is being called, or has a time to be."""
    live = [one["id"] for one in mine if one["state"] != "ended"]
    if lead["state"] == "finished":
        wrong = "finished, with a live attempt" if live else ""
    elif lead["state"] == "active":
        wrong = "" if lead["live_attempt_id"] in live else "active, without a live attempt"
    else:
        wrong = "" if lead["next_attempt_at"] else "waiting, without a time"
    return [Offence(wrong, lead["phone"], str(lead["id"]))] if wrong else []


def _finished_wrongly(
    lead: Row, mine: Sequence[Row], posts: int, max_retries: int
) -> list[Offence]:
    """Given up too early or too late, or without any call at all."""
    if lead["state"] != "finished":
        return []
    spent = [one for one in mine if one["spent"]]
    wrong = ""
    if not posts:
        wrong = "finished, and never called"
    elif not spent or spent[-1]["outcome"] != lead["outcome"]:
        wrong = "finished with a word that is not its last attempt's"
    elif lead["outcome"] in _TRIED_AGAIN and len(spent) <= max_retries:
        wrong = "given up before its last try"
    elif len(spent) > max_retries + 1:
        wrong = "tried more often than allowed"
    words = " ".join(f"{one['outcome']}/{one['end_reason']}" for one in mine)
    return [Offence(wrong, lead["phone"], f"{lead['outcome']}: {words}")] if wrong else []


def _contradicted(
    attempt: Row, calls: Mapping[str, Row], placed: Mapping[str, Row]
) -> Offence | None:
    """An ended attempt whose word is not what the carrier did."""
    if attempt["state"] != "ended" or attempt["end_reason"] != "carrier":
        return None
    call = calls.get(attempt["call_sid"])
    named = placed.get(str(attempt["id"]))
    detail = f"{attempt['id']} is {attempt['outcome']}"
    if call is None or named is None or named["sid"] != attempt["call_sid"]:
        return Offence("bound to a call that is not its own", attempt["phone"], detail)
    word = _what_happened(call)
    if word == "answered":
        holds = attempt["outcome"] not in _NEVER_TAKEN_UP
    else:
        holds = attempt["outcome"] in _UNANSWERED.get(word, set())
        # Only the last callback has the SIP code: when it was lost, asking tells `busy`.
        holds |= word == "declined" and attempt["outcome"] == "busy" and not _was_told(call)
    if holds and call["ended_at"]:
        return None
    return Offence("against the ledger", attempt["phone"], f"{detail}, the call was {word}")


def _what_happened(call: Row) -> str:
    if call["answered_at"]:
        return "answered"
    return "declined" if call["sip_code"] == 603 else str(call["status"])


def _was_told(call: Row) -> bool:
    """Whether the callback that says how the call ended was taken."""
    ends = ("status", "completed")
    return any(
        (sent["purpose"], sent["event"]) == ends and sent["result"] in {200, 204}
        for sent in call["webhooks"]
    )
