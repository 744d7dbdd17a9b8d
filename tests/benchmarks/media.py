"""`make bench ONLY=media`: how many conversations a core holds, beside the stock Pipecat bot.

Our pod and the bot that `pipecat init` writes take calls from the same callers, with the same
providers (over TLS, as they are outside), one after the other in one run, each alone on one core.
Writes var/bench/media.json.

    calls_per_core      the most calls at once whose 95th percentile of voice-to-voice is within
                        100 ms of one call's, without an underrun, all replies given
    voice_to_voice_ms   a caller's last audible frame to the bot's first audible sound; at capacity
    own_share_ms        of it: no provider's, nor the silence that the bot's settings wait for
    first_audio_ms      the stream's `start` to the first audible sound, at capacity
    start_stall_ms      how long the event loop did not answer while another call was prepared and
                        began (the worst of the starts, but for moments at which the machine itself
                        stood still; `start_stall` has each of them, with and without, and the same
                        of as many stretches of that call in which none started)
    spin_ms             how long a fixed piece of work took beside a step, on the other core: in the
                        slow hours of a machine's host, everything costs so much more
    pod_late_ms         how long the bot's event loop takes to answer a ping, all through a step
    limited_by          whose core was full when one step more went wrong; its loads stand in
                        `beyond_capacity`, and those of every step in `rounds`

Calls begin evenly over as long as one exchange takes (CYCLE_SECONDS), as calls do that know nothing
of each other: all at once, each turn would wait for every other one's, however few they are.

OUTDIAL_BENCH_QUICK=1 makes it a trial of six minutes; OUTDIAL_BENCH_SECONDS (25) is how long calls
go on at each step, OUTDIAL_BENCH_CALLS (1000) how many follow one another, OUTDIAL_BENCH_BOT=ours
(or stock) leaves the other one out.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from http_load import quantile
from media_callers import Job
from media_lab import Bot, Lab, open_lab
from media_pod import open_pod
from media_processes import VAR, cpu_seconds, rss_mb, run
from media_stalls import stalls
from media_stock_bot import open_stock
from outdial.domain.call_template import Turns

QUICK = bool(os.environ.get("OUTDIAL_BENCH_QUICK"))
SECONDS = float(os.environ.get("OUTDIAL_BENCH_SECONDS", "13" if QUICK else "25"))
CALLS = int(os.environ.get("OUTDIAL_BENCH_CALLS", "100" if QUICK else "1000"))
STARTS = 3 if QUICK else 12
CYCLE_SECONDS = 10.0  # a sentence, the wait, the reply, and a breath
AT_ONCE = 50  # of the calls that follow one another
WITHIN_MS = 100
CUT_INS = 0.02  # of the turns, answered before they were over
NEARLY_FULL = 0.75  # of a core: above it, waits in its queue are what limits
LATE_SECONDS = 0.03  # of an event loop alone on its core, one time in twenty: so are its stalls
OUT = VAR / "media.json"

_SILENCE = {"ours": Turns().silence_ms / 1000, "stock": 0.2}  # pipecat 1.14's VAD_STOP_SECS
_FIRST_STEP = {"ours": 32, "stock": 8}


class Sample(NamedTuple):
    """What the processes have used until now (seconds of processor), and hold."""

    at: float
    bot: float
    beside: dict[str, float]
    rss_mb: float
    spin_ms: float


@dataclass
class Round:
    """So many calls at once, as they went while all of them did."""

    calls: int
    voice_to_voice: list[float] = field(default_factory=list)
    own_share: list[float] = field(default_factory=list)
    first_audio: list[float] = field(default_factory=list)
    unanswered: int = 0
    cut_ins: int = 0
    errors: int = 0
    underruns: int = 0
    underruns_while_starting: int = 0
    load: dict[str, float] = field(default_factory=dict)  # share of a core
    rss_mb: float = 0.0
    callers_late_ms: dict[str, float] = field(default_factory=dict)
    pod_late: list[float] = field(default_factory=list)
    spin_ms: float = 0.0

    def is_good(self, one: "Round") -> bool:
        """Whether callers are served as one alone was."""
        if self.unanswered or self.errors or self.underruns or not self.voice_to_voice:
            return False
        if self.cut_ins > CUT_INS * len(self.voice_to_voice):
            return False
        slower = quantile(self.voice_to_voice, 0.95) - quantile(one.voice_to_voice, 0.95)
        return slower <= WITHIN_MS / 1000

    def figures(self) -> dict[str, Any]:
        """For the report."""
        return {
            "calls": self.calls,
            "turns": len(self.voice_to_voice),
            "voice_to_voice_ms": _ms(self.voice_to_voice),
            "own_share_ms": _ms(self.own_share),
            "first_audio_ms": _ms(self.first_audio),
            "unanswered": self.unanswered,
            "cut_ins": self.cut_ins,
            "errors": self.errors,
            "underruns": self.underruns,
            "underruns_while_starting": self.underruns_while_starting,
            "core_load": {name: round(load, 3) for name, load in self.load.items()},
            "rss_mb": round(self.rss_mb, 1),
            "callers_late_ms": self.callers_late_ms,
            "pod_late_ms": _ms(self.pod_late),
            "spin_ms": round(self.spin_ms, 2),
        }


def _ms(seconds: Sequence[float]) -> dict[str, float | None]:
    if not seconds:
        return {"p50": None, "p95": None}
    return {f"p{p}": round(1000 * quantile(seconds, p / 100), 1) for p in (50, 95)}


async def hold(lab: Lab, bot: Bot, calls: int, seconds: float = SECONDS) -> Round:
    """One round."""
    urls = await bot.lines(calls)
    await lab.turns()
    samples: list[Sample] = []
    sampling = asyncio.create_task(_sample(lab, bot, samples))
    try:
        result = await lab.run(
            Job(urls=urls, seconds=seconds, stagger=CYCLE_SECONDS / calls, probe=0.05)
        )
    finally:
        sampling.cancel()
    done = _weigh(result, await lab.turns(), bot.name, seconds)
    done.calls = calls
    _add_load(done, samples, _window(result["calls"], seconds))
    print(f"  {bot.name}: {json.dumps(done.figures())}", file=sys.stderr, flush=True)
    return done


async def _sample(lab: Lab, bot: Bot, samples: list[Sample]) -> None:
    while True:
        now = time.monotonic()
        samples.append(Sample(now, cpu_seconds(bot.pid), lab.cpu(), rss_mb(bot.pid), _spin_ms()))
        await asyncio.sleep(0.5)


def _spin_ms() -> float:
    began = time.thread_time()
    for _ in range(50_000):
        pass
    return 1000 * (time.thread_time() - began)


def _window(calls: Sequence[dict[str, Any]], seconds: float) -> tuple[float, float]:
    """When all of them talked."""
    last = max(call["started"] for call in calls)
    first_words = [call["first_audio"] or last for call in calls]
    return max(last, *first_words), last + seconds


def _weigh(
    result: dict[str, Any], seen: dict[str, dict[str, float]], name: str, seconds: float
) -> Round:
    calls = result["calls"]
    begin, end = _window(calls, seconds)
    done = Round(len(calls), callers_late_ms=result["late_ms"])
    done.pod_late = [trip for sent, trip in result["pings"] if begin <= sent <= end]
    for call in calls:
        done.errors += bool(call["error"])
        if call["first_audio"] is not None:
            done.first_audio.append(call["first_audio"] - call["started"])
        else:
            done.errors += 1
        done.underruns += sum(begin <= when <= end for when in call["underruns"])
        done.underruns_while_starting += sum(when < begin for when in call["underruns"])
        for turn in call["turns"]:
            if not begin <= turn["said"] <= end:
                continue
            if turn["heard"] is None:
                done.unanswered += 1
                continue
            if turn["cut_in"]:
                done.cut_ins += 1
                continue
            answer = turn["heard"] - turn["said"]
            done.voice_to_voice.append(answer)
            events = seen.get(turn["label"], {})
            if "sound" in events:
                done.own_share.append(own_share(turn["said"], answer, events, _SILENCE[name]))
    return done


def own_share(said: float, answer: float, events: dict[str, float], silence: float) -> float:
    """Seconds of an answer that the bot itself took: not the providers, not the agreed silence."""
    heard_at = events.get("finalize", said + silence)  # without it, endpointing was faster
    theirs = (
        max(0.0, events["transcript"] - max(heard_at, said + silence))
        + max(0.0, events.get("sentence", events["request"]) - events["request"])
        + events["sound"] - events["speak"]
    )  # fmt: skip
    return answer - silence - theirs


def _add_load(done: Round, samples: Sequence[Sample], window: tuple[float, float]) -> None:
    inside = [sample for sample in samples if window[0] <= sample.at <= window[1]]
    if len(inside) < 2:
        return
    first, last = inside[0], inside[-1]
    span = last.at - first.at
    done.load = {"pod": (last.bot - first.bot) / span}
    done.load |= {name: (last.beside[name] - used) / span for name, used in first.beside.items()}
    done.rss_mb = statistics.median(sample.rss_mb for sample in inside)
    done.spin_ms = statistics.median(sample.spin_ms for sample in inside)


async def capacity(lab: Lab, bot: Bot) -> tuple[dict[int, Round], int, Round | None]:
    """All rounds, the most calls that were good, and the first round that was not."""
    one = await hold(lab, bot, 1, 2.5 * SECONDS)
    rounds = {1: one}
    good, bad, trial = 1, 0, _FIRST_STEP[bot.name]
    failed: Round | None = None
    while not bad or bad - good > max(1, good // 12):
        done = await hold(lab, bot, trial)
        if not done.is_good(one) and not QUICK:
            done = await hold(lab, bot, trial)  # once may have been chance
        rounds[trial] = done
        if done.is_good(one):
            good = trial
        else:
            bad, failed = trial, done
        trial = (good + bad) // 2 if bad else round(good * 1.5)
    return rounds, good, failed


def limited_by(failed: Round | None) -> str:
    """Whose core was full, or late, when it went wrong; `neither`: the machine had other work."""
    if failed is None or not failed.load:
        return "unknown"
    beside = {name: load for name, load in failed.load.items() if name != "pod"}
    late = failed.pod_late and quantile(failed.pod_late, 0.95) >= LATE_SECONDS
    if failed.load["pod"] >= NEARLY_FULL or late:
        return "pod"
    if sum(beside.values()) < NEARLY_FULL:
        return "neither"
    return "callers" if beside["callers"] >= max(beside.values()) else "providers"


async def growth(lab: Lab, bot: Bot) -> dict[str, Any]:
    """Memory over many short calls, 50 at a time, after the first tenth has warmed it up."""
    held: list[tuple[int, float]] = []
    errors = 0
    for begun in range(0, CALLS, AT_ONCE):
        urls = await bot.lines(min(AT_ONCE, CALLS - begun))
        job = Job(urls=urls, first_call=1000 + begun, stagger=0.05, brief=True)
        result = await lab.run(job)
        errors += sum(not call["turns"] or call["turns"][0]["heard"] is None
                      for call in result["calls"])  # fmt: skip
        await asyncio.sleep(0.5)
        held.append((begun + len(urls), rss_mb(bot.pid)))
    await lab.turns()
    await asyncio.sleep(3)
    held.append((CALLS, rss_mb(bot.pid)))
    warm = next(rss for calls, rss in held if calls >= CALLS // 10)
    return {
        "calls": CALLS,
        "without_reply": errors,
        "rss_mb": [[calls, round(rss, 1)] for calls, rss in held[:: max(1, len(held) // 10)]],
        "growth_mb": round(held[-1][1] - warm, 1),
    }


async def measure(lab: Lab, bot: Bot) -> dict[str, Any]:
    """Every figure of one bot."""
    rounds, good, failed = await capacity(lab, bot)
    one, full = rounds[1], rounds[good]
    stall = await stalls(lab, bot, STARTS)
    added = (full.rss_mb - one.rss_mb) / max(1, good - 1)
    return {
        "calls_per_core": good,
        "mb_per_call": round(added, 2),
        "first_audio_ms": _ms(full.first_audio),
        "voice_to_voice_ms": _ms(full.voice_to_voice),
        "own_share_ms": _ms(full.own_share),
        "own_share_one_call_ms": _ms(one.own_share),
        "start_stall_ms": stall["worst"],
        "start_stall": stall,
        "cpu_per_call": round(full.load.get("pod", 0.0) / good, 4),
        "limited_by": limited_by(failed),
        "silence_ms": round(1000 * _SILENCE[bot.name]),
        "one_call": one.figures(),
        "at_capacity": full.figures(),
        "beyond_capacity": failed.figures() if failed else None,
        "rounds": [rounds[calls].figures() for calls in sorted(rounds)],
    }


async def report() -> dict[str, Any]:
    """Both bots, one after the other."""
    began, load_before = time.monotonic(), round(os.getloadavg()[0], 2)
    only = os.environ.get("OUTDIAL_BENCH_BOT", "")
    ours: dict[str, Any] = {}
    stock: dict[str, Any] = {}
    grown: dict[str, Any] = {}
    async with open_lab() as lab:
        if only != "ours":
            async with open_stock(lab) as bot:
                stock = await measure(lab, bot)
        if only != "stock":
            async with open_pod(lab) as pod:
                ours = await measure(lab, pod)
                grown = await growth(lab, pod)
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_average_before": load_before,
        "seconds": round(time.monotonic() - began),
        "quick": QUICK,
        "ours": ours,
        "stock": stock,
        "limited_by": ours.get("limited_by", "unknown"),
        "rss_growth_1000_calls_mb": grown.get("growth_mb") if CALLS == 1000 else None,
        "rss_over_calls": grown,
        "targets": {"calls_per_core_ratio": 4, "mb_per_call": 3, "first_audio_p95_ms": 60,
                    "own_share_p50_ms": 40, "own_share_p95_ms": 80, "start_stall_ms": 5},
    }  # fmt: skip
    if ours and stock:
        result["calls_per_core_ratio"] = round(ours["calls_per_core"] / stock["calls_per_core"], 2)
    return result


def main() -> int:
    """Measure, write, print."""
    result = run(report())
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    brief = {name: {k: v for k, v in result[name].items() if k != "rounds"}
             for name in ("ours", "stock")}  # fmt: skip
    print(json.dumps(result | brief, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
