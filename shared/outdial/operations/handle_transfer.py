"""A call is put through to a human: what they are told first, and what comes after."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from outdial.domain.attempt_state import Plan
from outdial.domain.fold_conversation import MET
from outdial.operations.ask_in_time import Away, ask_in_time
from outdial.operations.connect_call import GOODBYE
from outdial.operations.conversation_record import fill_for_call
from outdial.operations.route_answered_call import Answered, may_connect, read_attempt
from outdial.operations.runtime import Runtime
from outdial.operations.twiml_of_plan import template_of_attempt
from outdial.operations.zombie_calls import is_zombie
from outdial.telephony import twiml

_log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class TransferEnded:
    """What Twilio posted to the dial's `action`."""

    attempt_id: UUID
    call_sid: str
    call_status: str
    dial_status: str  # completed, answered, busy, no-answer, failed or canceled


async def handle_transfer_ended(runtime: Runtime, ended: TransferEnded) -> Answered:
    """Hang up when they have met; else say the template's words first. Asked twice, the same."""
    if ended.call_status != "in-progress":
        return _say(ended, twiml.empty())
    if ended.dial_status in MET:
        return _say(ended, twiml.hangup())
    found = await ask_in_time(PATIENCE_SECONDS, _nobody_came(runtime, ended))
    if isinstance(found, Away):
        _log.error("transfer_ended_unread", attempt_id=str(ended.attempt_id), reason=found.reason)
        return _say(ended, twiml.say_goodbye(GOODBYE))
    return found


async def whisper_to_human(runtime: Runtime, attempt_id: UUID) -> str:
    """What the human hears before they meet; nothing if it cannot be read in time."""
    found = await ask_in_time(PATIENCE_SECONDS, _whisper(runtime, attempt_id))
    return twiml.empty() if isinstance(found, Away) else found


async def _nobody_came(runtime: Runtime, ended: TransferEnded) -> Answered:
    attempt = await read_attempt(runtime, ended.attempt_id)
    if attempt is None or not may_connect(attempt, ended.call_sid):
        zombie = is_zombie(attempt, ended.call_sid, ended.call_status)
        return Answered(twiml.hangup(), ended.attempt_id, ended.call_sid, zombie=zombie)
    if attempt.plan != Plan.TRANSFER:
        return _say(ended, twiml.hangup())
    async with runtime.sessions() as session:
        template = await template_of_attempt(session, attempt.template_id)
        fallback = await fill_for_call(session, attempt, template.transfer.fallback)
    _log.warning("nobody_took_over", attempt_id=str(attempt.id), dial_status=ended.dial_status)
    return _say(ended, twiml.say_goodbye(fallback, template.language))


async def _whisper(runtime: Runtime, attempt_id: UUID) -> str:
    attempt = await read_attempt(runtime, attempt_id)
    if attempt is None or attempt.plan != Plan.TRANSFER:
        return twiml.empty()
    async with runtime.sessions() as session:
        template = await template_of_attempt(session, attempt.template_id)
        whisper = await fill_for_call(session, attempt, template.transfer.whisper)
    return twiml.say(whisper, template.language)


def _say(ended: TransferEnded, text: str) -> Answered:
    return Answered(text, ended.attempt_id, ended.call_sid)
