"""Sweep: calls that we decided to end and that go on, because the carrier could not be asked."""

import asyncio
from datetime import timedelta

from outdial.operations.ask_carrier import ask_carrier, note_asked
from outdial.operations.runtime import Runtime
from outdial.operations.zombie_calls import OVER
from outdial.storage import lost_work
from outdial.storage.tables import Attempt
from outdial.telephony.dial_result import AlreadyEnded

END_AT_ONCE = 16
PATIENCE = timedelta(seconds=5)
"""Whoever decided ends the call at once, and its last callback follows within a second or two."""


async def end_stopped_calls(runtime: Runtime) -> int:
    """How many calls were told to end once more."""
    async with runtime.sessions() as session:
        stopped = await lost_work.stopped_attempts(session, PATIENCE, limit=END_AT_ONCE)
    going_on = [one for one in stopped if one.facts.get("carrier_status") not in OVER]
    await asyncio.gather(*(_end(runtime, attempt) for attempt in going_on))
    return len(going_on)


async def _end(runtime: Runtime, attempt: Attempt) -> None:
    if attempt.call_sid is None:
        return
    result = await runtime.carrier.end_call(attempt.call_sid)
    if isinstance(result, AlreadyEnded):
        await ask_carrier(runtime, attempt.id, attempt.call_sid)
    else:
        await note_asked(runtime, [attempt.id])
