"""When the machine itself stood still: a thread that goes before all others is late.

A virtual machine has its cores as its host gives them. What is measured on one of them in
milliseconds holds such pauses, too, and they are nobody's who is measured. What the thread waits
for within the machine (a call of the system that nothing interrupts) is no such pause: whoever is
measured may have made it.
"""

import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from io import FileIO
from pathlib import Path

from going_first import WATCHING, let_go_first
from media_processes import BOT_CORE, OTHER_CORE, child

EVERY_SECONDS = 0.001
LEAST_SECONDS = 0.0005


class Pauses:
    """What was seen; nothing where no thread may go before all others."""

    seen: list[tuple[float, float]] | None = None  # (from, to), monotonic seconds

    def any_within(self, begin: float, end: float) -> bool:
        """Whether either core stood still in this stretch of time; False if nobody looked."""
        return any(start < end and stop > begin for start, stop in self.seen or ())


@asynccontextmanager
async def watching() -> AsyncIterator[Pauses]:
    """Watch both cores for as long as the block lasts; then their pauses are told."""
    pauses = Pauses()
    command = [sys.executable, __file__]
    async with AsyncExitStack() as stack:
        watchers = [
            await stack.enter_async_context(child(command, core=core, piped=True))
            for core in (BOT_CORE, OTHER_CORE)
        ]
        yield pauses
        told = []
        for process in watchers:
            assert process.stdout is not None
            process.send_signal(signal.SIGTERM)
            told.append(json.loads(await process.stdout.read() or b"null"))
        if None not in told:
            pauses.seen = [(start, stop) for seen in told for start, stop in seen]


def _watch() -> list[tuple[float, float]] | None:
    if not let_go_first(0, WATCHING):
        return None
    seen: list[tuple[float, float]] = []
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    with Path("/proc/thread-self/schedstat").open("rb", buffering=0) as file:
        last, waited = time.monotonic(), _waited(file)
        while not stopped:
            time.sleep(EVERY_SECONDS)
            now, waited_now = time.monotonic(), _waited(file)
            late = now - last - EVERY_SECONDS - (waited_now - waited)
            if late >= LEAST_SECONDS:
                seen.append((last + EVERY_SECONDS, now))
            last, waited = now, waited_now
    return seen


def _waited(schedstat: FileIO) -> float:
    """Seconds that this thread has waited for its core since it began."""
    schedstat.seek(0)
    return int(schedstat.read(100).split()[1]) / 1e9


if __name__ == "__main__":
    print(json.dumps(_watch()))
