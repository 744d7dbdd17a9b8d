"""A store that does not answer is not asked again until it does (a circuit breaker).

Waiting for a frozen store once costs a person its patience; waiting for every call would cost it
each of them, and hold up the event loop for those that need no waiting. While the breaker is open
questions are answered `Away` at once, and one probe in the background asks whether it is back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from outdial.observability.outages import Outages
from outdial.operations.ask_in_time import STORE_ERRORS, Away, ask_in_time

T = TypeVar("T")

PROBE_EVERY = 0.25


class Breaker:
    """Around one store. `probe` asks it something small; it raises, or hangs, while it is away."""

    def __init__(self, store: str, patience: float, probe: Callable[[], Awaitable[Any]]) -> None:
        self._store = store
        self._patience = patience
        self._probe = probe
        self._outages = Outages()
        self._probing: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the store is thought to be away."""
        return self._probing is not None

    async def ask(self, asking: Callable[[], Awaitable[T]]) -> T | Away:
        """What the store answers; `Away` when it does not in time, or is away already.

        Who waits when another's patience ends waits no longer.
        """
        if self.is_open:
            return Away(f"{self._store} is away")
        opened = self._opened = self._opened or asyncio.get_running_loop().create_future()
        asked = asking()
        task = asyncio.ensure_future(asked)
        await asyncio.wait({task, opened}, timeout=self._patience, return_when="FIRST_COMPLETED")
        if not task.done():
            task.add_done_callback(_forget)
            if task is not asked:  # a future is shared with others who may still wait
                task.cancel()
            self._open(f"no answer within {self._patience} s")
            return Away(f"{self._store} does not answer")
        try:
            return task.result()
        except STORE_ERRORS as error:
            self._open(type(error).__name__)
            return Away(f"{type(error).__name__}: {error}"[:200])

    async def close(self) -> None:
        """Probe no more."""
        probing, self._probing = self._probing, None
        if probing is not None:
            probing.cancel()
            with suppress(asyncio.CancelledError):
                await probing

    def _open(self, why: str) -> None:
        if self.is_open:
            return
        self._outages.away(self._store, why)
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.set_result(None)
        self._probing = asyncio.create_task(self._until_it_answers(), name=f"probe-{self._store}")

    async def _until_it_answers(self) -> None:
        while True:
            if not isinstance(await ask_in_time(self._patience, self._ask_once()), Away):
                break
            await asyncio.sleep(PROBE_EVERY)
        self._outages.back(self._store)
        self._probing = None

    async def _ask_once(self) -> None:
        await self._probe()


def _forget(task: "asyncio.Future[Any]") -> None:
    """Look at the result that nobody waits for, so that asyncio does not complain of it."""
    if not task.cancelled():
        task.exception()
