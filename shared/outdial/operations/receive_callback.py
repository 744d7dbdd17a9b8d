"""A callback of Twilio's has come: write it, and say whether its call should be going on at all."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_events import QUIET, Event, Source
from outdial.domain.errors import Unavailable
from outdial.observability import traces
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.record_callback import write_event
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import keep_slot
from outdial.operations.zombie_calls import end_zombie, is_zombie
from outdial.storage import attempts
from outdial.storage.told_of_calls import Step, tell

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Received:
    """What became of a callback."""

    attempt_id: UUID
    event: Event
    known: bool  # the attempt exists, and the event is stored
    zombie: bool
    rings: bool
    is_urgent: bool  # somebody should read it now


async def receive_callback(runtime: Runtime, attempt_id: UUID, event: Event) -> Received:
    """Store a fact that the carrier tells; of an attempt that nobody knows there is none to store.

    Raises:
        Unavailable: Postgres is away. The carrier will tell it again.

    """
    try:
        async with runtime.sessions() as session:
            received = await _write_ordinary(session, attempt_id, event)
        if received is None:
            async with runtime.sessions.begin() as session:
                received = await _write_by_the_rules(session, attempt_id, event)
    except STORE_ERRORS as error:
        raise Unavailable("The database does not answer; tell it again.") from error
    if not received.known:
        _log.warning("callback_for_nobody", attempt_id=str(attempt_id), call_sid=event.call_sid)
    if received.is_urgent:
        runtime.hints.settle(attempt_id)
    return received


async def _write_ordinary(session: AsyncSession, attempt_id: UUID, event: Event) -> Received | None:
    """One statement for what most callbacks are: the next thing that a live call's own one tells.

    It must agree with `record_callback.write_event`, which does all the rest.
    """
    if event.call_sid is None or (event.source, event.kind) in QUIET:
        return None
    step = _step(event)
    told = await tell(session, attempt_id, event, step)
    if told is None:
        return None
    _trace(attempt_id, told.lead_id, event)
    urgent = told.is_new and not told.is_step
    rings = told.is_step and step == "ringing"
    return Received(attempt_id, event, True, False, rings, urgent)


def _step(event: Event) -> Step:
    if (event.source, event.kind) != (Source.CARRIER, "status"):
        return ""
    match _status(event):
        case "initiated" | "ringing" as step:
            return step
    return ""


async def _write_by_the_rules(session: AsyncSession, attempt_id: UUID, event: Event) -> Received:
    attempt = await attempts.lock(session, attempt_id)
    # As it stands before this callback binds its call.
    zombie = is_zombie(attempt, event.call_sid or "", _status(event))
    if attempt is None:
        return Received(attempt_id, event, False, zombie, False, False)
    _trace(attempt.id, attempt.lead_id, event)
    written = await write_event(session, attempt, event)
    return Received(attempt_id, event, True, zombie, written.rings, written.is_urgent)


def _status(event: Event) -> str:
    return str(event.payload.get("CallStatus", ""))


def _trace(attempt_id: UUID, lead_id: UUID | None, event: Event) -> None:
    traces.about_attempt(attempt_id, lead_id)
    traces.note(event=event.kind, call_status=_status(event) or None)


async def follow_up(runtime: Runtime, received: Received) -> None:
    """What a callback asks for at once when it is answered; all else is settling's."""
    if received.zombie and received.event.call_sid:
        await end_zombie(runtime, received.attempt_id, received.event.call_sid)
    if received.rings:
        await keep_slot(runtime, received.attempt_id)
