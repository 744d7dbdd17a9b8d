"""What became of the calls of one scene, read from the carrier's ledger.

The ledger knows nothing of Outdial: streams with their times, what people said and when. Outdial is
asked one thing only: whether the agent had decided to end the call before the pod was lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

HEARD_SECONDS = 1.0  # from the end of words until they are recognised and written

Call = Mapping[str, Any]


@dataclass
class Counts:
    """Of all rounds of one scene."""

    within: float
    calls: int = 0
    calls_hit: int = 0
    resumed: int = 0
    resumed_in_time: int = 0
    context_kept: int = 0
    moved_again: int = 0
    ended_meanwhile: int = 0
    dropped: int = 0
    not_ended: int = 0
    gaps: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For the report; gaps in seconds."""
        return {
            "calls": self.calls,
            "calls_hit": self.calls_hit,
            "resumed": self.resumed,
            f"resumed_within_{self.within:g}s": self.resumed_in_time,
            "context_kept": self.context_kept,
            "gap_p50_seconds": _percentile(self.gaps, 50),
            "gap_p99_seconds": _percentile(self.gaps, 99),
            "gap_max_seconds": max(self.gaps, default=None),
            "moved_again": self.moved_again,
            "ended_meanwhile": self.ended_meanwhile,
            "dropped": self.dropped,
            "not_ended": self.not_ended,
        }


@dataclass(frozen=True)
class Hit:
    """A stream that was open on a pod when that pod was lost, at `at` (epoch seconds)."""

    number: str
    stream: int  # its place among the call's streams
    at: float
    socket_closes: bool  # a killed process closes its socket: the gap counts from there


def open_streams(calls: Iterable[Call], pods: Iterable[str]) -> list[tuple[str, int]]:
    """Numbers and places of the streams that are open on these pods."""
    return [
        (call["to"], place)
        for call in calls
        if not call["ended_at"]
        for place, stream in enumerate(call["streams"])
        if not stream["ended_at"] and pod_of(stream) in pods
    ]


def pod_of(stream: Mapping[str, Any]) -> str:
    """The pod that a stream's address names."""
    name: str = stream["url"].split("/pods/")[1].split("/")[0]
    return name


def judge_hit(counts: Counts, hit: Hit, call: Call, said_goodbye_at: float | None) -> None:
    """One call whose pod was lost. Calls that were over, or ending, by themselves do not count."""
    stream = call["streams"][hit.stream]
    if stream["ended_at"] and stream["ended_at"] < hit.at:
        counts.ended_meanwhile += 1
        return
    lost_at = stream["ended_at"] if hit.socket_closes and stream["ended_at"] else hit.at
    later = [s for s in call["streams"][hit.stream + 1 :] if s["started_at"]]
    if not later and _was_ending(counts, call, lost_at, said_goodbye_at):
        counts.ended_meanwhile += 1
        return
    counts.calls_hit += 1
    if not later:
        return
    gap = round(later[0]["started_at"] - lost_at, 3)
    counts.resumed += 1
    counts.gaps.append(gap)
    counts.resumed_in_time += gap <= counts.within
    counts.moved_again += len(call["streams"]) > hit.stream + 2
    counts.context_kept += _asked_nothing_twice(call, lost_at)


def judge_undisturbed(counts: Counts, call: Call) -> None:
    """A call in a drain or a rolling restart: cut if a stream was lost, or the carrier gave up."""
    counts.dropped += len(call["streams"]) > 1 or call["ended_by"] == "carrier"


def _was_ending(counts: Counts, call: Call, lost_at: float, said_goodbye_at: float | None) -> bool:
    """Whether the agent had ended it already, or the person hung up before it was due to go on."""
    if said_goodbye_at is not None and said_goodbye_at <= lost_at:
        return True
    hung_up = call["ended_by"] == "person" and call["ended_at"]
    return bool(hung_up) and call["ended_at"] < lost_at + counts.within


def _asked_nothing_twice(call: Call, lost_at: float) -> bool:
    """Whether the person did not have to say again what had been heard before the pod was lost.

    What was said to a pod that was frozen already, or in the last second of one, nobody heard.
    """
    told = {u["intent"] for u in call["utterances"] if u["ended_at"] < lost_at - HEARD_SECONDS}
    again = {u["intent"] for u in call["utterances"] if u["started_at"] >= lost_at}
    return not (told & again & {"confirm", "decline"})


def _percentile(values: list[float], percent: int) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return round(quantiles(values, n=100, method="inclusive")[percent - 1], 3)
