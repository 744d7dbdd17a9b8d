"""Write one fact about an attempt. What follows from it is settled by a worker (PROTOCOL.md 5)."""

import uuid
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState
from outdial.domain.call_events import QUIET, Event, Source
from outdial.domain.errors import NotFound
from outdial.operations.runtime import Runtime
from outdial.storage import attempts, call_events
from outdial.storage.tables import Attempt

_log = structlog.get_logger(__name__)


async def record_event(
    runtime: Runtime, attempt_id: uuid.UUID, event: Event, *, in_time: bool = True
) -> bool:
    """Store a fact and have it settled; False if it was known.

    The first fact that names the call binds it: the answer to our POST may have been lost. Without
    `in_time` nobody is told: it is read with the next fact, or by the sweep.

    Raises:
        NotFound: there is no such attempt.

    """
    async with runtime.sessions.begin() as session:
        # The row first, then the event: its foreign key would share the row with another callback,
        # and neither could then write the SID.
        attempt = await attempts.lock(session, attempt_id)
        if attempt is None:
            raise NotFound(f"There is no call {attempt_id}.")
        written = await write_event(session, attempt, event)
    if written.is_urgent and in_time:
        runtime.hints.settle(attempt_id)
    return written.is_new


@dataclass(frozen=True)
class Written:
    """What became of a fact: whether it was known, and whether somebody should read it now.

    `rings`: it was the first to say so. Nothing follows from it but that the slot is needed for as
    long as a phone rings.
    """

    is_new: bool
    is_urgent: bool
    rings: bool


async def write_event(session: AsyncSession, attempt: Attempt, event: Event) -> Written:
    """Write a fact about an attempt whose row is locked; a hint to settle it is the caller's."""
    await bind_call(session, attempt, event.call_sid)
    # These two are written right here: nothing is left to settle.
    starts = _is_a_step(attempt, event, "initiated")
    rings = _is_a_step(attempt, event, "ringing")
    if starts:
        attempt.state = AttemptState.INITIATED
        attempt.initiated_at = attempt.initiated_at or event.occurred_at
    if rings:
        attempt.state, attempt.ringing_at = AttemptState.RINGING, event.occurred_at
    loud = not (starts or rings) and _is_loud(attempt, event)
    number = await call_events.append(session, attempt.id, event, to_settle=loud, heard=True)
    new = number is not None
    return Written(new, new and loud, rings)


def _is_loud(attempt: Attempt, event: Event) -> bool:
    """Whether somebody should read it now. What comes late, or of another call, always is."""
    return (
        (event.source, event.kind) not in QUIET
        or attempt.state == AttemptState.ENDED
        or event.call_sid not in {None, attempt.call_sid}
    )


def _is_a_step(attempt: Attempt, event: Event, call_status: str) -> bool:
    """Whether an attempt's own call has come to `call_status`, as it should, before it rang.

    A call that should be ended is no such: whoever is told of it ends it.
    """
    return (
        (event.source, event.kind) == (Source.CARRIER, "status")
        and event.payload.get("CallStatus") == call_status
        and event.call_sid == attempt.call_sid
        and attempt.stop_reason is None
        and attempt.state in {AttemptState.DIALING, AttemptState.INITIATED}
    )


async def bind_call(session: AsyncSession, attempt: Attempt, call_sid: str | None) -> None:
    """Bind a call to the attempt (locked) that it names, if that has none yet.

    One that was never dialed has no call of its own: settling ends whatever names it.
    """
    if call_sid is None or attempt.call_sid is not None:
        return
    if attempt.direction == "outbound" and attempt.intent_at is None:
        return
    owner = await attempts.by_sid(session, call_sid)
    if owner is not None:
        _log.error("call_of_another_attempt", attempt_id=str(attempt.id), owner=str(owner))
        return
    attempt.call_sid = call_sid
