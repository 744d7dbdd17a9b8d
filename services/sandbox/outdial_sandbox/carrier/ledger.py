"""The ledger: what really happened on the network, for tests. It knows no customer's database."""

import json
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from outdial_sandbox.carrier.call import Call
from outdial_sandbox.carrier.call_audio import CallAudio
from outdial_sandbox.carrier.speech_timing import voice_to_voice
from outdial_sandbox.carrier.tally import Post, Tally, named_in

_SETTLED_SECONDS = 2.0  # after its end, what a call still has to say has begun


class _Ended:
    """A call that is over: its record, packed as soon as nothing more is to be added."""

    def __init__(self, call: Call) -> None:
        self.posted_at = call.created_at
        self._settled_at = time.time() + _SETTLED_SECONDS
        self._log = call.log
        self._entry: dict[str, Any] | None = call_entry(call)
        self._packed = b""

    def entry(self) -> dict[str, Any]:
        """The record. The last webhooks of a call are answered after its end."""
        if self._entry is not None:
            return self._entry | {"webhooks": self._log.entries()}
        found: dict[str, Any] = json.loads(zlib.decompress(self._packed))
        return found

    def pack(self) -> bool:
        """Make it small: a tenth of what its objects take. False while it may change."""
        if self._log.pending or time.time() < self._settled_at:
            return False
        self._packed = zlib.compress(json.dumps(self.entry()).encode(), 1)
        self._entry = None
        del self._log
        return True


class Ledger:
    """Every POST, ring, answer and word since the start, or since it was last emptied."""

    def __init__(self, injected: Counter[str] | None = None) -> None:
        self.tally = Tally()
        self.injected: Counter[str] = Counter() if injected is None else injected
        self._posts: list[Post] = []
        self._live: dict[str, Call] = {}
        self._ended: list[_Ended] = []
        self._unpacked: deque[_Ended] = deque()

    def posted(self, form: Mapping[str, str], result: str | int, call: Call | None) -> None:
        """Note a POST of a call; `result` is `accepted` or Twilio's error code."""
        urls = [form[name] for name in ("Url", "StatusCallback") if name in form]
        post = Post(
            at=call.created_at if call else time.time(),
            to=form.get("To"),
            caller=form.get("From"),
            url=form.get("Url"),
            result=result,
            sid=call.sid if call else None,
            fault=call.post_fault if call else None,
            named=named_in(urls),
        )
        self._posts.append(post)
        self.tally.posted(post, call)
        if call is not None:
            self._live[call.sid] = call

    def ended(self, call: Call) -> None:
        """A call is over: what it held in memory is let go."""
        if self._live.pop(call.sid, None) is None:
            return
        self.tally.ended(call)
        record = _Ended(call)
        self._ended.append(record)
        self._unpacked.append(record)
        # Two at most: the work of packing is spread over the calls, and keeps up with them.
        for _ in range(min(2, len(self._unpacked))):
            if self._unpacked[0].pack():
                self._unpacked.popleft()
            else:
                self._unpacked.rotate(-1)  # a callback minutes late does not hold up the others

    def posts_to(self, number: str) -> int:
        """How many POSTs named `number`, refused ones too."""
        return self.tally.number(number).posts

    def earlier_calls(self, number: str) -> int:
        """How many calls to `number` have ended."""
        return self.tally.number(number).ended

    def clear(self) -> None:
        """Forget what has ended. Live calls stay."""
        self._posts.clear()
        self._ended.clear()
        self._unpacked.clear()
        self.injected.clear()
        self.tally = self.tally.cleared()

    def calls(self, since: float = 0.0) -> Iterator[dict[str, Any]]:
        """The calls posted `since`, oldest first. What begins meanwhile is missing."""
        found: list[tuple[float, Callable[[], dict[str, Any]]]]
        found = [(record.posted_at, record.entry) for record in self._ended]
        # A live call is written down now: when its turn comes, it may have let go of everything.
        for call in self._live.values():
            found.append((call.created_at, _always(call_entry(call))))
        for posted_at, entry in sorted(found, key=lambda item: item[0]):
            if posted_at >= since:
                yield entry()

    def others(self, since: float = 0.0) -> dict[str, Any]:
        """All but the calls: POSTs, double dials, what was made to fail."""
        posts = [post.entry() for post in list(self._posts) if post.at >= since]
        overlaps = list(self.tally.overlaps)
        return {
            "posts": posts,
            "refused": [post for post in posts if post["result"] != "accepted"],
            "overlapping": [[first, second] for at, first, second in overlaps if at >= since],
            "faults": dict(+self.injected),
        }

    def content(self, since: float = 0.0) -> dict[str, Any]:
        """All of it that was posted `since`, oldest first, as JSON."""
        return {"calls": list(self.calls(since)), **self.others(since)}


def _always(entry: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    return lambda: entry


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
        "fault": call.post_fault,
        "error_code": call.person.answer.error_code,
        "dialed_at": call.dialed_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "ended_by": call.ended_by,
        "answered_by": call.answered_by,
        "detection_ms": call.detection_ms,
        **(_audio_entry(call, call.line) if isinstance(call.line, CallAudio) else _NO_AUDIO),
        "streams": [stream.entry() for stream in call.streams],
        "legs": [leg.entry() for leg in call.legs],
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
