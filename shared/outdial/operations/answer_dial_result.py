"""The carrier has answered our POST, or has not: write it, and act on what it asks for."""

import uuid

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState
from outdial.domain.call_events import Event
from outdial.observability import traces
from outdial.observability.metrics import PAUSED, SET_ASIDE
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.dial_events import event_of_result
from outdial.operations.record_callback import bind_call
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import Locked, keep_slot, settle_attempt
from outdial.storage import attempts, campaigns, numbers
from outdial.storage.told_of_calls import tell
from outdial.telephony.dial_result import Accepted, DialResult, OutcomeUnknown, Rejected
from outdial.telephony.twilio_errors import ErrorClass, class_of

_log = structlog.get_logger(__name__)


async def answer_dial_result(runtime: Runtime, attempt_id: uuid.UUID, result: DialResult) -> None:
    """Write the answer, and settle what is not settled with that.

    A callback may have been faster: finding this very call bound is success.
    """
    if isinstance(result, Accepted) and await _is_told(runtime, attempt_id, result):
        return

    async def append(session: AsyncSession, locked: Locked) -> Event:
        attempt = locked.attempt
        believed = result
        if isinstance(result, Accepted):
            await bind_call(session, attempt, result.sid)
        elif attempt.call_sid is not None and not isinstance(result, OutcomeUnknown):
            # A callback has shown the call: whoever says that there is none is wrong.
            believed = OutcomeUnknown(f"contradicted by a callback: {result}")
        attempts.hear(attempt)
        return event_of_result(believed)

    await settle_attempt(runtime, attempt_id, append=append)
    if isinstance(result, Rejected):
        await _act_on_refusal(runtime, attempt_id, result)


async def _is_told(runtime: Runtime, attempt_id: uuid.UUID, accepted: Accepted) -> bool:
    """One statement for a call that goes as it should; False if the rules have to look at it."""
    async with runtime.sessions() as session:
        told = await tell(session, attempt_id, event_of_result(accepted), "accepted")
    if told is None or not told.is_step:
        return False
    traces.about_attempt(attempt_id, told.lead_id)
    if told.state is AttemptState.INITIATED:
        await keep_slot(runtime, attempt_id)
    return True


async def _act_on_refusal(runtime: Runtime, attempt_id: uuid.UUID, refused: Rejected) -> None:
    """What the error's class asks for, beyond this one attempt."""
    wanted = class_of(refused.code)
    _log.warning(
        "post_rejected",
        attempt_id=str(attempt_id),
        code=refused.code,
        asks_for=str(wanted),
        message=refused.message,
    )
    if wanted is ErrorClass.RETRY:
        await _slow_down(runtime)
    elif wanted is ErrorClass.STOP_CAMPAIGN:
        await _pause_campaign(runtime, attempt_id, refused)
    elif wanted is ErrorClass.QUARANTINE_NUMBER:
        await _set_number_aside(runtime, attempt_id, refused)


async def _slow_down(runtime: Runtime) -> None:
    try:
        await runtime.dial_tokens.slow_down()
    except STORE_ERRORS as error:
        _log.warning("not_slowed_down", error=str(error))


async def _pause_campaign(runtime: Runtime, attempt_id: uuid.UUID, refused: Rejected) -> None:
    """Every call of it would fail in the same way, until somebody mends our configuration."""
    async with runtime.sessions.begin() as session:
        attempt = await attempts.get(session, attempt_id)
        if attempt is None or attempt.campaign_id is None:
            return
        why = f"the carrier refused a call with {refused.code}: {refused.message}"[:500]
        if await campaigns.change_status(session, attempt.campaign_id, ("running",), "paused", why):
            PAUSED.labels(str(refused.code)).inc()
            _log.error("campaign_paused", campaign_id=str(attempt.campaign_id), code=refused.code)


async def _set_number_aside(runtime: Runtime, attempt_id: uuid.UUID, refused: Rejected) -> None:
    async with runtime.sessions.begin() as session:
        attempt = await attempts.get(session, attempt_id)
        if attempt is None:
            return
        await numbers.add(session, attempt.caller_number)  # one from the settings may be unknown
        why = f"the carrier refused a call from it with {refused.code}: {refused.message}"[:500]
        if await numbers.set_aside(session, attempt.caller_number, why):
            SET_ASIDE.labels("refused").inc()
            _log.error("number_set_aside", caller=attempt.caller_number, code=refused.code)
