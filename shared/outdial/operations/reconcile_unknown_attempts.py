"""Sweep: find unknown attempts in the carrier's call list, or count them as spent (PROTOCOL.md 6).

A call matches if it goes from our number to theirs, was made by the API between the intent and the
deadline, and belongs to no attempt. The list lags: that a call is not in it proves nothing, so only
time ends the search, and only of a call that no pod speaks on.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState
from outdial.domain.call_events import Event, Source
from outdial.operations.ask_carrier import note_asked, write_carrier_call
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import Append, Locked, settle_attempt
from outdial.routing.slot_reservation import holder, is_ready
from outdial.storage import attempts, lost_work
from outdial.storage.lost_work import database_now
from outdial.storage.tables import Attempt
from outdial.telephony.dial_result import CarrierAway, CarrierCall

_log = structlog.get_logger(__name__)

ASK_AT_ONCE = 16
ASK_EVERY = timedelta(seconds=5)
_NOT_LOST = frozenset({AttemptState.QUEUED, AttemptState.DIALING, AttemptState.ENDED})
BEFORE_INTENT = timedelta(seconds=5)  # clocks differ


async def reconcile_unknown_attempts(runtime: Runtime) -> int:
    """How many were found, or given up as spent."""
    async with runtime.sessions() as session:
        unknown = await lost_work.unknown_attempts(session, ASK_EVERY, limit=ASK_AT_ONCE)
    return sum(await asyncio.gather(*(_reconcile(runtime, attempt) for attempt in unknown)))


async def _reconcile(runtime: Runtime, attempt: Attempt) -> bool:
    found = await _candidates(runtime, attempt)
    if len(found) == 1:
        await write_carrier_call(runtime, attempt.id, found[0])
        return True
    if len(found) > 1:
        sids = [call.sid for call in found]
        _log.error("unknown_attempt_has_two_calls", attempt_id=str(attempt.id), call_sids=sids)
    await note_asked(runtime, [attempt.id])
    if await _may_be_talked_to(runtime, attempt.id):
        return False
    return await settle_attempt(runtime, attempt.id, append=_spend_after(runtime)) is not None


async def _may_be_talked_to(runtime: Runtime, attempt_id: UUID) -> bool:
    """Whether a pod that is heard speaks on this call, found at the carrier or not.

    Counted as spent, its number could be dialed again while somebody still talks there. In doubt it
    is not: slots are not known while Redis is away, or emptied and not yet rebuilt.
    """
    try:
        if not await is_ready(runtime.redis):
            return True
        return await holder(runtime.redis, attempt_id, only_live=True) is not None
    except STORE_ERRORS as error:
        _log.warning("slots_not_known", attempt_id=str(attempt_id), error=type(error).__name__)
        return True


async def _candidates(runtime: Runtime, attempt: Attempt) -> list[CarrierCall]:
    """Calls that may be this attempt's. A queued call has no start: it is asked for by status."""
    listed: dict[str, CarrierCall] = {}
    for status in (None, "queued"):
        answer = await runtime.carrier.list_calls(
            to=attempt.phone, caller=attempt.caller_number, status=status
        )
        if isinstance(answer, CarrierAway):
            _log.warning("carrier_not_asked", attempt_id=str(attempt.id), reason=answer.reason)
            return []
        listed |= {call.sid: call for call in answer}
    matching = [call for call in listed.values() if _matches(runtime, attempt, call)]
    async with runtime.sessions() as session:
        bound = await attempts.bound_sids(session, [call.sid for call in matching])
    return [call for call in matching if call.sid not in bound]


def _matches(runtime: Runtime, attempt: Attempt, call: CarrierCall) -> bool:
    if attempt.intent_at is None or call.date_created is None:
        return False
    deadline = attempt.intent_at + timedelta(seconds=runtime.settings.unknown_spent_after_seconds)
    return (
        call.to == attempt.phone
        and call.caller == attempt.caller_number
        and call.direction == "outbound-api"
        # The carrier tells whole seconds.
        and attempt.intent_at - BEFORE_INTENT <= call.date_created <= deadline
    )


def _spend_after(runtime: Runtime) -> Append:
    async def spend(session: AsyncSession, locked: Locked) -> Event | None:
        attempt, now = locked.attempt, await database_now(session)
        limit = timedelta(seconds=runtime.settings.unknown_spent_after_seconds)
        if attempt.state in _NOT_LOST or attempt.call_sid is not None:
            return None
        if attempt.intent_at is None or now - attempt.intent_at < limit:
            return None
        return Event(Source.RECONCILE, "unknown_expired", "unknown_expired", datetime.now(UTC))

    return spend
