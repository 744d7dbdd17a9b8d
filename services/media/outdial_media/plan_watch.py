"""How a pod hears that a call's plan has changed: Postgres says so, and it looks each second.

Never through Redis: what Redis lost must not keep an opted-out call going (PROTOCOL.md 10).
"""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from outdial.operations.conversation_record import Standing, standing_of
from outdial.operations.runtime import Runtime
from outdial.storage.plan_changes import listen

_log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0


class PlanWatch:
    """Tells `changed(attempt_id, standing)` where the calls of `watched()` stand."""

    def __init__(
        self,
        runtime: Runtime,
        watched: Callable[[], Sequence[UUID]],
        changed: Callable[[UUID, Standing], None],
    ) -> None:
        self._runtime = runtime
        self._watched = watched
        self._changed = changed
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._look())

    async def _listen(self) -> None:
        while True:
            try:
                async for attempt_id in listen(self._runtime.settings.database_url):
                    if attempt_id in self._watched():
                        self._news.set()
            except (psycopg.Error, OSError) as error:
                _log.warning("listening_failed", error=repr(error))
            await asyncio.sleep(POLL_SECONDS)  # meanwhile, looking goes on

    async def _look(self) -> None:
        while True:
            if ids := self._watched():
                try:
                    for attempt_id, standing in (await standing_of(self._runtime, ids)).items():
                        self._changed(attempt_id, standing)
                except (SQLAlchemyError, OSError) as error:
                    _log.warning("looking_failed", error=repr(error))
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                continue
            self._news.clear()
