"""What is written after an answer is on its way: answers go before it.

Facts gather for a moment and are written in one transaction. With a transaction for each answer the
writing took more of the process than the answering, and answers waited for it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import ParamSpec
from uuid import UUID

import structlog

from outdial.background_task import running
from outdial.domain.call_events import Event
from outdial.observability.metrics import EVENTS_DROPPED
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.record_together import Fact, record_together
from outdial.operations.runtime import Runtime
from outdial_api.after_answer import after_answer

_log = structlog.get_logger(__name__)

P = ParamSpec("P")

GATHER_SECONDS = 0.1
MOST_TOGETHER = 200
MOST_WAITING = 50_000
"""While Postgres is away, half a kilobyte each. What comes after is dropped: pod, carrier and
sweeps tell of the call as well."""
AGAIN_SECONDS = 0.5
AT_ONCE = 3
"""Other work after answers: with all of it at once, answers would wait."""
CLOSING_SECONDS = 5.0


class Writing:
    """Facts to write, in the order in which they came, until they are written."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._facts: deque[Fact] = deque()
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._hurry = asyncio.Event()

    def put(self, attempt_id: UUID, event: Event) -> None:
        """Have a fact written soon; never waits."""
        if len(self._facts) >= MOST_WAITING:
            EVENTS_DROPPED.labels("away").inc()
            return
        self._facts.append((attempt_id, event))
        self._none.clear()
        self._some.set()

    async def after(
        self, work: Callable[P, Coroutine[None, None, None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Do other work when there is room."""
        async with self._room:
            await after_answer(work, *args, **kwargs)

    async def written(self) -> None:
        """Wait until everything is written, and let it gather no longer."""
        self._hurry.set()
        try:
            await self._none.wait()
        finally:
            self._hurry.clear()

    async def run(self) -> None:
        """Write, until canceled. While Postgres is away facts wait for it."""
        while True:
            await self._some.wait()
            if len(self._facts) < MOST_TOGETHER:  # what came during a write gathers as well
                with suppress(TimeoutError):
                    async with asyncio.timeout(GATHER_SECONDS):
                        await self._hurry.wait()
            await self._write(list(islice(self._facts, MOST_TOGETHER)))
            if not self._facts:
                self._some.clear()
                self._none.set()

    async def _write(self, facts: list[Fact]) -> None:
        """Write the first that wait."""
        try:
            await record_together(self._runtime, facts)
        except STORE_ERRORS as error:
            _log.warning("events_wait", waiting=len(self._facts), error=type(error).__name__)
            await asyncio.sleep(AGAIN_SECONDS)
        except Exception:  # noqa: BLE001 - if this ended, all that comes would pile up unseen
            _log.exception("events_not_written_together", count=len(facts))
            await self._write_each(facts)
        else:
            for _ in facts:
                self._facts.popleft()

    async def _write_each(self, facts: list[Fact]) -> None:
        """One by one: a fact that cannot be written keeps no other from it."""
        for attempt_id, event in facts:
            try:
                await record_together(self._runtime, [(attempt_id, event)])
            except STORE_ERRORS:
                return  # the others wait
            except Exception:  # noqa: BLE001 - as above
                _log.exception("event_dropped", attempt_id=str(attempt_id), kind=event.kind)
                EVENTS_DROPPED.labels("error").inc()
            self._facts.popleft()


@asynccontextmanager
async def writing_facts(runtime: Runtime) -> AsyncIterator[Writing]:
    """Writing until the end of the block, and some seconds longer for what is left."""
    writing = Writing(runtime)
    async with running(writing.run(), "writing"):
        yield writing
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await writing.written()
