"""What the ledger knows at any moment without looking through it: counts and double dials."""

import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from outdial_sandbox.carrier.call import Call

_SHOWN = 100  # examples of each kind in a summary
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Post:
    """One POST of a call. `result` is `accepted` or the error code; `named` the id in its URLs."""

    at: float
    to: str | None
    caller: str | None
    url: str | None
    result: str | int
    sid: str | None = None
    fault: str | None = None
    named: str | None = None

    def entry(self) -> dict[str, Any]:
        """For the ledger."""
        return {
            "at": self.at,
            "to": self.to,
            "from": self.caller,
            "url": self.url,
            "result": self.result,
            "sid": self.sid,
            "fault": self.fault,
            "named": self.named,
        }


def named_in(urls: Iterable[str]) -> str | None:
    """The id that a customer put in the paths of a call's URLs: the first URL's last UUID.

    Two POSTs with the same one are two dials of what the customer holds for one.
    """
    for url in urls:
        if found := _UUID.findall(urlsplit(url).path):
            return str(found[-1]).lower()
    return None


@dataclass(slots=True)
class NumberTally:
    """What happened to one number."""

    posts: int = 0
    calls: int = 0
    answered: int = 0
    ended: int = 0
    last_status: str | None = None
    live: dict[str, float] = field(default_factory=dict)  # SID to when it was posted

    def entry(self) -> dict[str, Any]:
        """For the ledger."""
        return {
            "posts": self.posts,
            "calls": self.calls,
            "answered": self.answered,
            "live": len(self.live),
            "last_status": self.last_status,
        }


class Tally:
    """Counts as things happen; every question is answered from the counts."""

    def __init__(self, live: Mapping[str, dict[str, float]] | None = None) -> None:
        self.numbers = {to: NumberTally(live=calls) for to, calls in (live or {}).items()}
        self.overlaps: list[tuple[float, str, str]] = []  # the first call's POST, both SIDs
        self._times = array("d")
        self._results: Counter[str] = Counter()
        self._named: dict[str, int] = {}
        self._doubles = 0
        self._statuses: Counter[str] = Counter()
        self._ended_by: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        self._answered = 0

    def cleared(self) -> "Tally":
        """A new one that knows of the calls that live, and of nothing else."""
        return Tally({to: number.live for to, number in self.numbers.items() if number.live})

    def number(self, number: str) -> NumberTally:
        """What happened to `number`; nothing, if it is not known."""
        return self.numbers.get(number) or NumberTally()

    def posted(self, post: Post, call: Call | None) -> None:
        """Note a POST, and the call that was accepted."""
        self._times.append(post.at)
        self._results[str(post.result)] += 1
        double = self._named_again(post.named)
        if post.to is not None:
            number = self.numbers.setdefault(post.to, NumberTally())
            number.posts += 1
            if call is not None:
                double = self._joined(number, call) or double
        self._doubles += double

    def ended(self, call: Call) -> None:
        """A call is over."""
        answered = call.answered_at is not None
        number = self.numbers.setdefault(call.request.to, NumberTally())
        number.live.pop(call.sid, None)
        number.ended += 1
        number.last_status = call.status
        number.answered += answered
        self._answered += answered
        self._statuses[call.status] += 1
        self._ended_by[str(call.ended_by)] += 1
        self._streams.update(str(stream.ended_by) for stream in call.streams)

    def summary(self) -> dict[str, Any]:
        """The counts, and examples of what ought not to be."""
        repeated = {name: posts for name, posts in self._named.items() if posts > 1}
        return {
            "posts": len(self._times),
            "results": dict(self._results),
            "numbers": len(self.numbers),
            "calls": self._results["accepted"],
            "live": sum(len(number.live) for number in self.numbers.values()),
            "answered": self._answered,
            "ended": dict(self._statuses),
            "ended_by": dict(self._ended_by),
            "streams_ended_by": dict(self._streams),
            "double_dials": self._doubles,
            "repeated_ids": len(repeated),
            "overlapping_calls": len(self.overlaps),
            "examples": {
                "repeated_ids": dict(list(repeated.items())[:_SHOWN]),
                "overlapping_calls": [list(pair[1:]) for pair in self.overlaps[:_SHOWN]],
            },
        }

    def times(self, since: float = 0.0, until: float = float("inf")) -> "array[float]":
        """When the POSTs between two moments came."""
        return self._times[bisect_left(self._times, since) : bisect_left(self._times, until)]

    def _named_again(self, name: str | None) -> bool:
        if name is None:
            return False
        self._named[name] = self._named.get(name, 0) + 1
        return self._named[name] > 1

    def _joined(self, number: NumberTally, call: Call) -> bool:
        """A call begins: whether others are at its number now; each pair is noted."""
        self.overlaps += [(at, sid, call.sid) for sid, at in number.live.items()]
        double = bool(number.live)
        number.calls += 1
        number.live[call.sid] = call.created_at
        return double
