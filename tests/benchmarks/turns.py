"""`make bench ONLY=turns`: who speaks when, over scripted turns, beside Pipecat's defaults.

The same callers say the same turns (turns_script.py) to our pod with a template's defaults and to
the bot that `pipecat init` writes: one word, a sentence, a pause inside, a backchannel while the
bot speaks, an answer before its question is over, an interruption, silence, noise. Writes
var/bench/turns.json.

    cut_in       the bot began while the caller had not finished (or had said nothing at all)
    late         a reply more than a second after the last audible frame, or none
    noticed      the bot was silent within 200 ms of the first audible frame of an interruption
    answered     the bot gave way and replied (to an interruption, or to an early answer)
    kept_talking a backchannel (or a noise) did not stop the bot, or it went on from where it was
    gap_ms       and was silent for so long in between

`eager_answers` is what the pod counted itself: answers asked for before a turn was over and `kept`
(the reply was sooner), or `thrown_away` (paid for in vain), beside all `replies`. So is `held`:
what it fell silent for; `nothing` was a voice that was likely and did not come.

About ten minutes; OUTDIAL_BENCH_QUICK=1 says every third turn, in three.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from http_load import quantile
from media_callers import Job
from media_lab import Bot, Lab, open_lab
from media_pod import OurPod, open_pod
from media_processes import VAR, run
from media_stock_bot import open_stock
from turns_script import SCRIPT, SENTENCE_TURNS

QUICK = bool(os.environ.get("OUTDIAL_BENCH_QUICK"))
CALLERS = 4
LATE_SECONDS, NOTICED_SECONDS = 1.0, 0.2
OUT = VAR / "turns.json"
_SPOKEN = ("one_word", "sentence", "pause_inside")

Turn = dict[str, Any]


async def measure(lab: Lab, bot: Bot) -> list[Turn]:
    """Every scripted turn, said to one bot by a few callers at once."""
    turns = list(range(SENTENCE_TURNS, len(SCRIPT)))[:: 3 if QUICK else 1]
    urls = await bot.lines(CALLERS)
    # A caller says every fourth: each call has turns of all kinds.
    jobs = [
        Job(urls=[url], first_call=number, script=_mixed(turns[number::CALLERS]))
        for number, url in enumerate(urls)
    ]
    results = await asyncio.gather(*(lab.run(job) for job in jobs))
    calls = [call for result in results for call in result["calls"]]
    for call in calls:
        if call["error"]:
            print(f"  {bot.name}: call {call['call']}: {call['error']}", file=sys.stderr)
    await lab.turns()
    return [turn for call in calls for turn in call["turns"]]


def _mixed(turns: Sequence[int]) -> list[int]:
    """Turns in which nothing is said apart from each other: long silence is answered, rightly."""
    quiet = [turn for turn in turns if SCRIPT[turn].kind in {"silence", "noise"}]
    loud = [turn for turn in turns if turn not in quiet]
    apart = max(1, len(loud) // (len(quiet) + 1))
    mixed: list[int] = []
    for number, turn in enumerate(loud, 1):
        mixed.append(turn)
        if number % apart == 0 and quiet:
            mixed.append(quiet.pop())
    return mixed


def figures(turns: Sequence[Turn]) -> dict[str, Any]:
    """The report on one bot."""
    spoken = [turn for turn in turns if turn["kind"] in _SPOKEN]
    quiet = [t for t in turns if t["kind"] in {"silence", "noise"} and not _is_over(t)]
    interruptions, early = _of(turns, "interruption"), _of(turns, "early_answer")
    backchannels = _of(turns, "backchannel")
    noises = [turn for turn in _of(turns, "noise") if _is_over(turn)]
    return {
        "turns": len(turns),
        "cut_in_share": _share(_cut_in(turn) for turn in spoken + quiet),
        "late_share": _share(_is_late(turn) for turn in spoken if not turn["cut_in"]),
        "interruptions_noticed_share": _share(_is_noticed(turn) for turn in interruptions),
        "interruptions_answered_share": _share(turn["finished"] for turn in interruptions),
        "early_answers_answered_share": _share(turn["finished"] for turn in early),
        "early_answer_reply_ms": _ms(
            turn["heard"] - turn["said"] for turn in early if turn["finished"]
        ),
        "backchannels_kept_talking_share": _share(turn["finished"] for turn in backchannels),
        "backchannel_gap_ms": _gaps(backchannels),
        "noises_kept_talking_share": _share(turn["finished"] for turn in noises),
        "noise_gap_ms": _gaps(noises),
        "interruption_ms": _ms(
            turn["stopped"] - turn["began"] for turn in interruptions if turn["stopped"]
        ),
        "by_kind": {kind: _by_kind(_of(spoken, kind)) for kind in _SPOKEN},
        "replies_to_nothing": sum(_cut_in(turn) for turn in quiet),
    }


def _eager(pod: OurPod) -> dict[str, Any]:
    became = ("kept", "thrown_away")
    counted = {
        word: round(pod.counted(f'outdial_pod_eager_answers_total{{became="{word}"}}'))
        for word in became
    }
    replies = round(pod.counted("outdial_pod_reply_seconds_count"))
    return {"eager_answers": {**counted, "replies": replies}}


def _held(pod: OurPod) -> dict[str, Any]:
    voices = ("backchannel", "interruption", "noise", "nothing")
    counted = {v: round(pod.counted(f'outdial_pod_held_total{{voice="{v}"}}')) for v in voices}
    return {"held": counted}


def _by_kind(turns: Sequence[Turn]) -> dict[str, Any]:
    answers = [t["heard"] - t["said"] for t in turns if t["heard"] and not t["cut_in"]]
    slowest = sorted(
        (t for t in turns if t["heard"] and not t["cut_in"]), key=lambda t: t["said"] - t["heard"]
    )
    return {
        "turns": len(turns),
        "reply_ms": _ms(answers),
        "cut_in": sum(t["cut_in"] for t in turns),
        "late": sum(_is_late(t) for t in turns if not t["cut_in"]),
        "unanswered": sum(t["heard"] is None for t in turns),
        "cut_into": [" … ".join(SCRIPT[t["turn"]].pieces) for t in turns if t["cut_in"]],
        "slowest": [SCRIPT[t["turn"]].pieces[-1] for t in slowest[:5]],
    }


def _gaps(turns: Sequence[Turn]) -> dict[str, float | None]:
    """Of those who kept talking; 0 where nothing stopped them."""
    kept = [turn for turn in turns if turn["finished"]]
    return _ms(turn["went_on"] - turn["stopped"] if turn["stopped"] else 0.0 for turn in kept)


def _of(turns: Sequence[Turn], kind: str) -> list[Turn]:
    return [turn for turn in turns if turn["kind"] == kind]


def _is_over(turn: Turn) -> bool:
    return SCRIPT[turn["turn"]].over


def _cut_in(turn: Turn) -> bool:
    return bool(turn["cut_in"] or (turn["kind"] not in _SPOKEN and turn["heard"] is not None))


def _is_late(turn: Turn) -> bool:
    return turn["heard"] is None or turn["heard"] - turn["said"] > LATE_SECONDS


def _is_noticed(turn: Turn) -> bool:
    return turn["stopped"] is not None and turn["stopped"] - turn["began"] <= NOTICED_SECONDS


def _share(holds: Iterable[bool]) -> float | None:
    values = list(holds)
    return round(sum(values) / len(values), 3) if values else None


def _ms(seconds: Iterable[float]) -> dict[str, float | None]:
    values = list(seconds)
    if not values:
        return {"p50": None, "p95": None}
    return {f"p{p}": round(1000 * quantile(values, p / 100)) for p in (50, 95)}


async def report() -> dict[str, Any]:
    """Both bots, one after the other."""
    began, load_before = time.monotonic(), round(os.getloadavg()[0], 2)
    only = os.environ.get("OUTDIAL_BENCH_BOT", "")
    result: dict[str, Any] = {"ours": {}, "stock": {}}
    async with open_lab() as lab:
        if only != "stock":
            async with open_pod(lab) as pod:
                result["ours"] = figures(await measure(lab, pod)) | _eager(pod) | _held(pod)
        if only != "ours":
            async with open_stock(lab) as bot:
                result["stock"] = figures(await measure(lab, bot))
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_average_before": load_before,
        "seconds": round(time.monotonic() - began),
        "quick": QUICK,
        **result,
    }


def main() -> int:
    """Measure, write, print."""
    result = run(report())
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
