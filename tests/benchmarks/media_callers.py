"""Callers on media streams, as many as a job wants (`media_caller.py`).

`python media_callers.py` reads jobs from stdin, a line each (a number and a `Job`), and answers
each with a line of JSON when it is done.
"""

import asyncio
import gc
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

from media_caller import Caller, CallRecord
from media_caller_turns import be_brief, converse
from media_sounds import bot_seconds, noise, payloads
from media_speech import GREETING, REPLY
from turns_script import SCRIPT


@dataclass(frozen=True)
class Job:
    """Calls to make: number n begins n times `stagger` later and, with `script`, says those turns.

    Without, it says sentences until `seconds` after the last one began. `probe`: the first caller
    pings its socket at this pace (seconds; 0: not at all), and what the pongs say about the bot's
    event loop is returned. `brief`: speak into the greeting, hear the reply begin, hang up.
    """

    urls: list[str]
    first_call: int = 0
    stagger: float = 0.1
    seconds: float = 0.0
    script: list[int] = field(default_factory=list)
    probe: float = 0.0
    brief: bool = False


async def run(job: Job) -> dict[str, Any]:
    """Make the calls of a job."""
    late: list[float] = []
    pings: list[tuple[float, float]] = []
    last_start = time.monotonic() + job.stagger * (len(job.urls) - 1)
    until = last_start + job.seconds

    def turns(count: int) -> int | None:
        if job.script:
            return job.script[count] if count < len(job.script) else None
        return count if time.monotonic() < until else None

    async def one(index: int, url: str) -> CallRecord:
        record = CallRecord(job.first_call + index)
        await asyncio.sleep(index * job.stagger)
        caller = Caller(record, late)
        pinging: asyncio.Task[None] | None = None
        try:
            await caller.open(url)
            caller.begin()
            if job.probe and not index:
                pinging = asyncio.create_task(caller.ping(pings, job.probe))
            await (be_brief(caller) if job.brief else converse(caller, turns))
            if caller.gone.is_set():
                record.error = "the bot hung up"
            caller.end()
        except (OSError, TimeoutError) as error:
            record.error = repr(error)
        finally:
            if pinging is not None:
                pinging.cancel()
        return record

    records = await asyncio.gather(*(one(i, url) for i, url in enumerate(job.urls)))
    late.sort()
    return {
        "calls": [asdict(record) for record in records],
        "late_ms": {
            share: round(1000 * late[int(len(late) * quantile)], 2) if late else 0.0
            for share, quantile in (("p50", 0.5), ("p99", 0.99))
        },
        "pings": pings,
    }


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    jobs: set[asyncio.Task[None]] = set()

    async def do(number: int, job: Job) -> None:
        sys.stdout.write(json.dumps([number, await run(job)]) + "\n")
        sys.stdout.flush()

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        number, job = json.loads(line)
        task = asyncio.create_task(do(number, Job(**job)))
        jobs.add(task)
        task.add_done_callback(jobs.discard)


if __name__ == "__main__":
    for scripted in SCRIPT:
        for text in scripted.pieces:
            payloads(text)
    bot_seconds(GREETING), bot_seconds(REPLY), noise()
    gc.freeze()  # what is prepared stays: looks for garbage need not see it
    uvloop.run(_serve())
