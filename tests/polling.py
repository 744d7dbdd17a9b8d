"""Waiting in tests: for a condition, not for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
What = str | Callable[[], str]
"""What is waited for, in words; a function is asked for them when it did not come about."""

_PAUSE = 0.05


def wait_until(look: Callable[[], T], seconds: float = 30, what: What = "it came about") -> T:
    """Look until there is something to see, and return it; fail naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, _missing(what, seconds)
        time.sleep(_PAUSE)
    return seen


async def until(
    look: Callable[[], T | Awaitable[T]], seconds: float = 30, what: What = "it came about"
) -> T:
    """The same on an event loop; `look` may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        seen: T = await answer if inspect.isawaitable(answer) else answer  # type: ignore[assignment]
        if seen:
            return seen
        assert time.monotonic() < deadline, _missing(what, seconds)
        await asyncio.sleep(_PAUSE)


def _missing(what: What, seconds: float) -> str:
    return f"within {seconds:g} s not: {what if isinstance(what, str) else what()}"
