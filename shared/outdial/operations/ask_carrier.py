"""What the carrier says of a call when asked, as a fact of the attempt's."""

import uuid
from datetime import UTC, datetime

from outdial.domain.call_events import Event, Source
from outdial.operations.record_callback import record_event
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import settle_attempt
from outdial.operations.zombie_calls import OVER
from outdial.storage import attempts
from outdial.telephony.dial_result import CarrierAway, CarrierCall, NoSuchCall

_GONE = "failed"


async def ask_carrier(runtime: Runtime, attempt_id: uuid.UUID, call_sid: str) -> bool:
    """Fetch the call, write what it says, settle; False if the carrier could not be asked.

    A call that the carrier does not know cannot go on.
    """
    found = await runtime.carrier.fetch_call(call_sid)
    match found:
        case CarrierCall():
            await write_carrier_call(runtime, attempt_id, found)
        case NoSuchCall():
            await record_event(runtime, attempt_id, _event(call_sid, _GONE, datetime.now(UTC)))
            await settle_attempt(runtime, attempt_id)
        case CarrierAway():
            await note_asked(runtime, [attempt_id])
            return False
    return True


async def write_carrier_call(runtime: Runtime, attempt_id: uuid.UUID, call: CarrierCall) -> None:
    """Write a call that the carrier told of, bind it, and settle."""
    await record_event(runtime, attempt_id, event_of(call))
    await settle_attempt(runtime, attempt_id)


async def note_asked(runtime: Runtime, attempt_ids: list[uuid.UUID]) -> None:
    """Do not ask for these again before their time."""
    async with runtime.sessions.begin() as session:
        await attempts.touch(session, attempt_ids)


def event_of(call: CarrierCall) -> Event:
    """A looked-up call as a fact; one for each status that it is seen in."""
    happened = call.end_time if call.status in OVER else call.start_time
    return _event(
        call.sid,
        call.status,
        happened or datetime.now(UTC),
        answered_by=call.answered_by,
        duration=call.duration,
    )


def _event(call_sid: str, status: str, at: datetime, **more: object) -> Event:
    payload = {"call_sid": call_sid, "status": status, **more}
    return Event(Source.RECONCILE, "carrier_call", f"{call_sid}:{status}", at, call_sid, payload)
