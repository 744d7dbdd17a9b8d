"""The ledger: what really happened on the network, for tests. It knows no customer's database."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from outdial_sandbox.carrier.call import Call
from outdial_sandbox.carrier.call_audio import CallAudio
from outdial_sandbox.carrier.speech_timing import voice_to_voice
from outdial_sandbox.carrier.webhooks import WebhookLog


class Ledger:
    """Every POST, ring, answer and word since the start, or since it was last emptied."""

    def __init__(self) -> None:
        self._posts: list[dict[str, Any]] = []
        self._live: dict[str, Call] = {}
        self._ended: list[tuple[dict[str, Any], WebhookLog]] = []
        self._calls_to: Counter[str] = Counter()

    def posted(self, form: Mapping[str, str], result: str | int, sid: str | None) -> None:
        """Note a POST of a call; `result` is `accepted` or Twilio's error code."""
        post = {name.lower(): form.get(name) for name in ("To", "From", "Url")}
        self._posts.append({"at": time.time(), **post, "result": result, "sid": sid})

    def began(self, call: Call) -> None:
        """A call was accepted."""
        self._live[call.sid] = call

    def ended(self, call: Call) -> None:
        """A call is over: what it held in memory is let go."""
        if self._live.pop(call.sid, None) is not None:
            self._ended.append((call_entry(call), call.log))
        self._calls_to[call.request.to] += 1

    def earlier_calls(self, number: str) -> int:
        """How many calls to `number` have ended."""
        return self._calls_to[number]

    def clear(self) -> None:
        """Forget what has ended. Live calls stay."""
        self._posts.clear()
        self._ended.clear()
        self._calls_to.clear()

    def content(self, since: float = 0.0) -> dict[str, Any]:
        """All of it that was posted `since`, oldest first, as JSON."""
        # The last webhooks of a call are answered after its end.
        calls = [entry | {"webhooks": log.entries()} for entry, log in self._ended]
        calls += [call_entry(call) for call in self._live.values()]
        calls = [call for call in calls if call["posted_at"] >= since]
        calls.sort(key=lambda call: float(call["posted_at"]))
        posts = [post for post in self._posts if post["at"] >= since]
        return {
            "calls": calls,
            "posts": posts,
            "refused": [post for post in posts if post["result"] != "accepted"],
            "overlapping": overlapping(calls),
        }


def overlapping(calls: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Pairs of calls that were at the same number at the same time: each is a double dial."""
    found = []
    last: dict[str, Mapping[str, Any]] = {}
    for call in sorted(calls, key=lambda call: float(call["posted_at"])):
        before = last.get(call["to"])
        if before and (before["ended_at"] is None or before["ended_at"] > call["posted_at"]):
            found.append([before["sid"], call["sid"]])
        if before is None or _end(call) > _end(before):
            last[call["to"]] = call
    return found


def _end(call: Mapping[str, Any]) -> float:
    return float("inf") if call["ended_at"] is None else float(call["ended_at"])


def call_entry(call: Call) -> dict[str, Any]:
    """One call as the ledger shows it; times are epoch seconds."""
    request = call.request
    recording = call.recordings[0].path.name if call.recordings else None
    return {
        "sid": call.sid,
        "to": request.to,
        "from": request.caller,
        "person": call.person.key,
        "posted_at": call.created_at,
        "url": request.voice.url if request.voice else None,
        "status": call.status,
        "status_history": list(call.history),
        "sip_code": call.sip_code,
        "error_code": call.person.answer.error_code,
        "dialed_at": call.dialed_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "ended_by": call.ended_by,
        "answered_by": call.answered_by,
        "detection_ms": call.detection_ms,
        **(_audio_entry(call, call.audio) if call.audio else _NO_AUDIO),
        "streams": [stream.entry() for stream in call.streams],
        "recording": recording,
        "problems": list(call.problems),
        "webhooks": call.log.entries(),
    }


_NO_AUDIO: dict[str, Any] = {
    "utterances": [],
    "bot_speech": [],
    "first_bot_audio_ms": None,
    "voice_to_voice_ms": [],
    "message_seconds": None,
    "beep_at": None,
}


def _audio_entry(call: Call, audio: CallAudio) -> dict[str, Any]:
    began, said, bot = audio.began_at, audio.behaviour.utterances, audio.bot_speech.segments
    machine = audio.behaviour.machine
    beep_at = machine.beep_at if machine else None
    waits = voice_to_voice(said, bot) if call.person.answer.kind == "person" else []
    return {
        "utterances": [
            {
                "text": words.text,
                "intent": words.intent,
                "started_at": began + words.started,
                "ended_at": began + words.ended,
            }
            for words in said
        ],
        "bot_speech": [
            {"started_at": began + part.started, "ended_at": began + part.ended} for part in bot
        ],
        "first_bot_audio_ms": round(bot[0].started * 1000) if bot else None,
        "voice_to_voice_ms": [round(wait * 1000) for wait in waits],
        "message_seconds": round(machine.message_seconds, 2) if machine else None,
        "beep_at": None if beep_at is None else began + beep_at,
    }
