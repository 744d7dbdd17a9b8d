"""Sweep: live calls of which nothing was heard for long. The callback may be lost: ask for them."""

import asyncio
from datetime import timedelta

from outdial.operations.ask_carrier import ask_carrier
from outdial.operations.runtime import Runtime
from outdial.storage import lost_work

ASK_AT_ONCE = 16


async def ask_silent_attempts(runtime: Runtime) -> int:
    """How many were asked for."""
    age = timedelta(seconds=runtime.settings.silent_attempt_seconds)
    async with runtime.sessions() as session:
        silent = await lost_work.silent_attempts(session, age, limit=ASK_AT_ONCE)
    asked = await asyncio.gather(
        *(
            ask_carrier(runtime, attempt.id, attempt.call_sid)
            for attempt in silent
            if attempt.call_sid is not None
        )
    )
    return sum(asked)
