"""A Celery child keeps one event loop and one Runtime for all of its tasks.

Opened after the fork: a connection pool, a thread or a loop does not survive one.
"""

import asyncio
import gc
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import uvloop

from outdial.operations.runtime import Runtime, open_runtime
from outdial.settings import Settings
from outdial.short_slices import ask_for_short_slices
from outdial.thread_switches import switch_threads_often

T = TypeVar("T")

CONNECTIONS = 6  # to Postgres: what one processor can keep busy, and a worker has several children


class Child:
    """The loop, and what is open in it."""

    def __init__(self, settings: Settings) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._open = AsyncExitStack()
        self.runtime: Runtime = self.run(
            self._open.enter_async_context(open_runtime(settings, CONNECTIONS)),
        )
        gc.freeze()  # what was made at the start lives on: collections need not look at it

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one operation to its end. Tasks of a child come one after the other."""
        return self._runner.run(work)

    def close(self) -> None:
        """Publish the hints that wait, and let connections go."""
        self.run(self._open.aclose())
        self._runner.close()


class _Process:
    child: Child | None = None


def open_child(settings: Settings) -> None:
    """Open this process's child state; a signal of Celery's calls it once."""
    switch_threads_often()
    ask_for_short_slices()  # threads with a call to send wake at their moment
    _Process.child = Child(settings)


def close_child() -> None:
    """Close it, if it is open."""
    child, _Process.child = _Process.child, None
    if child is not None:
        child.close()


def current_child() -> Child:
    """The state that `open_child` opened in this process.

    Raises:
        RuntimeError: the process is not a child of a Celery worker.

    """
    if _Process.child is None:
        raise RuntimeError("no Celery child was opened in this process")
    return _Process.child
