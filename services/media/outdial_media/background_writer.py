"""Writes of one call, in order, off the path of its sound; all done before the call is let go."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

Write = Callable[[], Awaitable[object]]

_log = structlog.get_logger(__name__)

_TRIES = 8
_PAUSE_SECONDS = 0.5


class BackgroundWriter:
    """A queue and the one task that empties it. A store that is away for a while is waited for."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._writes: asyncio.Queue[Write | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def add(self, write: Write) -> None:
        """Write after everything that was added before."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"writer of {self._name}")
        self._writes.put_nowait(write)

    async def drain(self) -> None:
        """Wait until all is written (or given up), and let the task go."""
        if self._task is None:
            return
        self._writes.put_nowait(None)
        await self._task
        self._task = None

    async def _run(self) -> None:
        while (write := await self._writes.get()) is not None:
            await self._do(write)

    async def _do(self, write: Write) -> None:
        for left in reversed(range(_TRIES)):
            try:
                await write()
            except (SQLAlchemyError, OSError) as error:
                if not left:
                    _log.error("write_given_up", call=self._name, error=str(error))
                    return
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception:  # noqa: BLE001
                # One write that can never succeed must not take the others with it.
                _log.exception("write_failed", call=self._name)
                return
            else:
                return
