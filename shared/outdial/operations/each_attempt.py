"""One operation for each of several attempts, at once; what one of them meets spoils no other."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.runtime import Runtime
from outdial.operations.store_outages import store_failed

_log = structlog.get_logger(__name__)

T = TypeVar("T")


async def each_attempt(
    runtime: Runtime,
    attempt_ids: Sequence[uuid.UUID],
    operation: Callable[[Runtime, uuid.UUID], Awaitable[T]],
    failed: str,
) -> list[T | None]:
    """What `operation` returns for each; None, and `failed` in the log, where it raises."""
    results = await asyncio.gather(
        *(operation(runtime, attempt_id) for attempt_id in attempt_ids), return_exceptions=True
    )
    for attempt_id, result in zip(attempt_ids, results, strict=True):
        if isinstance(result, STORE_ERRORS):
            store_failed(runtime, result)
        elif isinstance(result, BaseException):
            _log.error(failed, attempt_id=str(attempt_id), exc_info=result)
    return [None if isinstance(result, BaseException) else result for result in results]
