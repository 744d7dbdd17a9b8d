"""A callback of Twilio's has come: write it, and say whether its call should be going on at all."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from outdial.domain.call_events import Event
from outdial.domain.errors import Unavailable
from outdial.observability import traces
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.record_callback import Written, write_event
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import keep_slot
from outdial.operations.zombie_calls import end_zombie, is_zombie
from outdial.storage import attempts

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Received:
    """What became of a callback."""

    attempt_id: UUID
    event: Event
    known: bool  # the attempt exists, and the event is stored
    zombie: bool
    rings: bool


async def receive_callback(runtime: Runtime, attempt_id: UUID, event: Event) -> Received:
    """Store a fact that the carrier tells; of an attempt that nobody knows there is none to store.

    Raises:
        Unavailable: Postgres is away. The carrier will tell it again.

    """
    status = str(event.payload.get("CallStatus", ""))
    written = Written(is_new=False, is_urgent=False, rings=False)
    try:
        async with runtime.sessions.begin() as session:
            attempt = await attempts.lock(session, attempt_id)
            # As it stands before this callback binds its call.
            zombie = is_zombie(attempt, event.call_sid or "", status)
            if attempt is not None:
                traces.about_attempt(attempt.id, attempt.lead_id)
                traces.note(event=event.kind, call_status=status or None)
                written = await write_event(session, attempt, event)
    except STORE_ERRORS as error:
        raise Unavailable("The database does not answer; tell it again.") from error
    if attempt is None:
        _log.warning("callback_for_nobody", attempt_id=str(attempt_id), call_sid=event.call_sid)
    if written.is_urgent:
        runtime.hints.settle(attempt_id)
    return Received(attempt_id, event, attempt is not None, zombie, written.rings)


async def follow_up(runtime: Runtime, received: Received) -> None:
    """What a callback asks for at once when it is answered; all else is settling's."""
    if received.zombie and received.event.call_sid:
        await end_zombie(runtime, received.attempt_id, received.event.call_sid)
    if received.rings:
        await keep_slot(runtime, received.attempt_id)
