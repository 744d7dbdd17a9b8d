"""Work that runs beside a block, and ends with it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def running(
    work: Coroutine[Any, Any, None], name: str
) -> AsyncIterator["asyncio.Task[None]"]:
    """Run `work` until the end of the block; then what it raised, if it ended by itself.

    That it died is told at once: the block may last for weeks.
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _tell(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("background_task_died", task=task.get_name(), exc_info=error)
