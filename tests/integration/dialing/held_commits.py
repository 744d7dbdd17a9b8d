"""Commits that are held back until somebody else has done something, or waits."""

import asyncio
from contextvars import ContextVar

from sqlalchemy.orm import Session
from sqlalchemy.util import await_only

before_commit: ContextVar["Pause | None"] = ContextVar("before_commit", default=None)
"""What holds the commits of this task back."""


class Pause:
    """Holds the n-th commit of a task back until somebody else has done something, or waits."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def at_commit(self) -> None:
        if self._left == 0:
            self.reached.set()
            await self.go.wait()
        self._left -= 1


class WatchedSession(Session):
    """A session whose commits are numbered, and can be held back."""


def hold_back(_session: Session) -> None:
    """Listens to `before_commit` of a WatchedSession."""
    pause = before_commit.get()
    if pause is not None:
        await_only(pause.at_commit())
