"""Work that is left when a request has been answered: nobody hears of its failure but the log."""

from collections.abc import Awaitable, Callable
from typing import ParamSpec

import structlog

from outdial.operations.ask_in_time import STORE_ERRORS

_log = structlog.get_logger(__name__)

P = ParamSpec("P")


async def after_answer(
    work: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs
) -> None:
    """Do it; without a store it is left to the sweep that looks for it, and told of once."""
    try:
        await work(*args, **kwargs)
    except STORE_ERRORS as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        _log.error("not_done_after_answer", what=work.__name__, error=reason)
