"""When the machine itself stood still: a thread that goes before all others wakes late.

A virtual machine has its cores as its host gives them. What is measured on one of them in
milliseconds holds such pauses, too, and they are nobody's who is measured.
"""

import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from going_first import WATCHING, let_go_first
from media_processes import BOT_CORE, OTHER_CORE, child

EVERY_SECONDS = 0.002
LEAST_SECONDS = 0.001


class Pauses:
    """What was seen; nothing where no thread may go before all others."""

    seen: list[tuple[float, float]] | None = None  # (when, how long), monotonic seconds

    def worst_ms(self, begin: float, end: float) -> float | None:
        """The longest pause that began in this stretch of time; None if nobody looked."""
        if self.seen is None:
            return None
        within = (long for at, long in self.seen if begin <= at <= end)
        return round(1000 * max(within, default=0.0), 2)


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
            pauses.seen = [(at, long) for seen in told for at, long in seen]


def _watch() -> list[tuple[float, float]] | None:
    if not let_go_first(0, WATCHING):
        return None
    seen: list[tuple[float, float]] = []
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    while not stopped:
        at = time.monotonic()
        time.sleep(EVERY_SECONDS)
        late = time.monotonic() - at - EVERY_SECONDS
        if late >= LEAST_SECONDS:
            seen.append((at, late))
    return seen


if __name__ == "__main__":
    print(json.dumps(_watch()))
