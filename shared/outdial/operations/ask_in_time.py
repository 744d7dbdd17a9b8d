"""Ask a store, and go on without it when it does not answer in time."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

T = TypeVar("T")

STORE_ERRORS = (
    OperationalError,
    InterfaceError,
    PoolTimeout,
    psycopg.OperationalError,  # from connections that are not SQLAlchemy's
    psycopg.InterfaceError,
    RedisError,
    OSError,
    TimeoutError,
)
"""What a store that is away raises. Anything else is a defect of ours, and not hidden."""


@dataclass(frozen=True)
class Away:
    """The store did not answer; `reason` is for the log."""

    reason: str


async def ask_in_time(seconds: float, asking: Coroutine[Any, Any, T]) -> T | Away:
    """What `asking` answers, or `Away` after `seconds`.

    The question is abandoned, not awaited: canceling one that psycopg has sent to a frozen server
    takes five seconds more, and a person is on the telephone.
    """
    task = asyncio.create_task(asking)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not task.done():
        task.cancel()
        task.add_done_callback(_forget)
        return Away(f"no answer within {seconds} s")
    try:
        return task.result()
    except STORE_ERRORS as error:
        return Away(f"{type(error).__name__}: {error}"[:200])


def _forget(task: "asyncio.Task[Any]") -> None:
    """Look at the result that nobody waits for, so that asyncio does not complain of it."""
    if not task.cancelled():
        task.exception()
