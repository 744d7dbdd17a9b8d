"""Where a conversation stands, and how it may end."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog

from outdial.domain.call_outcome import EndedBy

_log = structlog.get_logger(__name__)


class Stage(StrEnum):
    """Where a conversation stands; it only goes forward."""

    WAITING = "waiting"  # prepared, the phone still rings
    TALKING = "talking"
    MACHINE = "machine"  # mute until the script
    GOODBYE = "goodbye"  # the last words are being said
    OVER = "over"


@dataclass(frozen=True)
class Ending:
    """Why a conversation ended."""

    ended_by: EndedBy
    reason: str


class Course:
    """One conversation's way through its stages, and the work that goes on beside it."""

    def __init__(self) -> None:
        self.stage = Stage.WAITING
        self.meant: Ending | None = None
        """What the goodbye leads to."""
        self.ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._work: set[asyncio.Task[None]] = set()

    @property
    def is_talking(self) -> bool:
        """Whether the model answers, and tools may act."""
        return self.stage is Stage.TALKING

    @property
    def may_keep_waiting(self) -> bool:
        """Whether the person may be waiting for words: a farewell takes its time, too."""
        return self.stage in {Stage.TALKING, Stage.GOODBYE}

    def end(self, ending: Ending) -> None:
        """It is over; the first to say so says why."""
        if not self.ending.done():
            self.ending.set_result(ending)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done beside the call, which ends when it fails."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._done)

    def cancel_work(self) -> None:
        """Nothing of it is needed any more."""
        for task in list(self._work):
            task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("conversation_task_failed", error=repr(error), exc_info=error)
            self.end(Ending(EndedBy.SYSTEM, "error"))
