"""What live calls feel of a start: pings of one call, while others begin beside it."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any

from going_first import let_go_first
from machine_pauses import watching
from media_callers import Job
from media_lab import Bot, Callers, Lab, open_callers

AFTER_PAUSE = 0.01  # what waited meanwhile goes first
START_SECONDS = 8.0  # with the rest of its short call, at most
QUIET_SECONDS = 3.0  # as long as a start is looked at

_Late = list[tuple[float, float, bool]]  # pings: sent, by how much late, while the machine paused
_Times = list[tuple[float, float]]


async def stalls(lab: Lab, bot: Bot, starts: int) -> dict[str, Any]:
    """How long one live call's event loop does not answer when others start beside it.

    The live call's caller is a process of its own, which goes before all others where that may be
    (`caller_realtime`): a pong that waited for it would be taken for one that came late. Pings that
    were under way when a core of the machine stood still say nothing of the bot: `each` is without
    them (`left_out` of all), `each_with_pauses` with them. The same where nobody could look.
    """
    async with watching() as pauses, open_callers() as live:
        realtime = let_go_first(live.pid)
        starting, quiet, pings = await _starts(lab, live, bot, starts)
    usual = statistics.median(trip for _, trip in pings)
    late = [
        (sent, trip - usual, pauses.any_within(sent - AFTER_PAUSE, sent + trip))
        for sent, trip in pings
    ]
    of_starts = [[one for one in late if begin <= one[0] <= end] for begin, end in starting]
    of_quiet = [[one for one in late if begin <= one[0] <= end] for begin, end in quiet]
    left_out = [paused for some in of_starts for _, _, paused in some]
    return {
        **_stretches(of_starts),
        "left_out": round(sum(left_out) / len(left_out), 3),
        "without_starts": _stretches(of_quiet),
        "pauses_seen": pauses.seen is not None,
        "caller_realtime": realtime,
    }


def _stretches(stretches: Sequence[_Late]) -> dict[str, Any]:
    """The latest ping of each."""
    each = [max((by for _, by, paused in some if not paused), default=0.0) for some in stretches]
    with_pauses = [max(by for _, by, _ in some) for some in stretches]
    return {
        "worst": round(1000 * max(each), 2),
        "p50": round(1000 * statistics.median(each), 2),
        "each": [round(1000 * one, 2) for one in each],
        "each_with_pauses": [round(1000 * one, 2) for one in with_pauses],
    }


async def _starts(lab: Lab, live: Callers, bot: Bot, starts: int) -> tuple[_Times, _Times, _Times]:
    """From when to when each call started, none did, and the pings of the live one (sent, trip)."""
    (first,) = await bot.lines(1)
    seconds = (START_SECONDS + QUIET_SECONDS) * starts + 8
    probing = asyncio.create_task(
        live.run(Job(urls=[first], first_call=900, seconds=seconds, probe=0.005))
    )
    await asyncio.sleep(6)
    starting, quiet = [], []
    for number in range(starts):
        begin = time.monotonic()
        urls = await bot.lines(1)
        result = await lab.run(Job(urls=urls, first_call=901 + number, brief=True))
        starting.append((begin, (result["calls"][0]["first_audio"] or begin) + 0.3))
        await asyncio.sleep(1)
        quiet.append((time.monotonic(), time.monotonic() + QUIET_SECONDS))
        await asyncio.sleep(QUIET_SECONDS)
    return starting, quiet, [(sent, trip) for sent, trip in (await probing)["pings"]]
