"""A call is put through to a human: what they are told first, and what comes after.

When nobody comes the agent takes the call back: the conversation goes on with the next stream, and
the pod that has it knows from the dial's fact why.
"""

from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import Plan
from outdial.domain.call_events import Event
from outdial.domain.fold_conversation import MET, have_met
from outdial.operations.ask_in_time import Away, ask_in_time
from outdial.operations.continue_call import Asked, answer, connect_again, next_stream, say
from outdial.operations.conversation_record import fill_for_call
from outdial.operations.gateway import Gateway
from outdial.operations.route_answered_call import Answered, read_attempt
from outdial.operations.runtime import Runtime
from outdial.operations.twiml_of_plan import template_of_attempt, twiml_of_plan
from outdial.storage import attempts, call_events, transcripts
from outdial.storage.tables import Attempt
from outdial.telephony import twiml
from outdial.telephony.callbacks import CallbackUrls

WHISPER_PATIENCE_SECONDS = 1.0
GO_ON = "go on yourself, or offer a call at another time if you can schedule one"


@dataclass(frozen=True)
class TransferEnded(Asked):
    """What Twilio posted to the dial's `action`, as the fact that will be stored."""

    told: Event

    @property
    def dial_status(self) -> str:
        """Why nobody came: busy, no-answer (also who picked up and left), failed or canceled."""
        status = str(self.told.payload.get("DialCallStatus", ""))
        return "no-answer" if status in MET else status


async def handle_transfer_ended(gateway: Gateway, ended: TransferEnded) -> Answered:
    """Hang up when they have met; else the agent takes the call back. Asked twice, the same."""
    urls = CallbackUrls(gateway.runtime.settings)
    again = urls.transfer_ended(
        ended.attempt_id, ended.holds + 1, ended.dial_status, ended.language
    )
    if ended.call_status == "in-progress" and have_met(ended.told.payload):
        return say(ended, twiml.hangup())
    return await answer(
        gateway, ended, again, lambda attempt: _nobody_came(gateway, attempt, ended, again)
    )


async def whisper_to_human(runtime: Runtime, attempt_id: UUID) -> str:
    """What the human hears before they meet; nothing if it cannot be read in time."""
    found = await ask_in_time(WHISPER_PATIENCE_SECONDS, _whisper(runtime, attempt_id))
    return twiml.empty() if isinstance(found, Away) else found


async def _nobody_came(
    gateway: Gateway, attempt: Attempt, ended: TransferEnded, again: str
) -> Answered:
    if attempt.plan == Plan.CONVERSATION:
        return await connect_again(gateway, attempt, ended, again)
    if attempt.plan != Plan.TRANSFER:
        return say(ended, await twiml_of_plan(gateway.runtime, attempt))
    return await next_stream(
        gateway,
        attempt,
        ended,
        "nobody_took_over",
        lambda session: _take_back(session, attempt, ended),
    )


async def _take_back(session: AsyncSession, attempt: Attempt, ended: TransferEnded) -> bool:
    """Commit that the agent has the call again, and what it must know: with it, not after it."""
    if not await attempts.take_back(session, attempt.id, attempt.stream_no):
        return False
    payload = {**ended.told.payload, "back_on": attempt.stream_no + 1}
    await call_events.append(session, attempt.id, replace(ended.told, payload=payload))
    for call in await transcripts.tool_calls_of(session, attempt.id):
        if call.name == "transfer_to_human" and "error" not in (call.result or {}):
            result = {"error": f"nobody took the call ({ended.dial_status}): {GO_ON}"}
            await transcripts.finish_tool_call(session, attempt.id, call.call_id, result)
    return True


async def _whisper(runtime: Runtime, attempt_id: UUID) -> str:
    attempt = await read_attempt(runtime, attempt_id)
    if attempt is None or attempt.plan != Plan.TRANSFER:
        return twiml.empty()
    async with runtime.sessions() as session:
        template = await template_of_attempt(session, attempt.template_id)
        whisper = await fill_for_call(
            session, attempt, template.transfer.whisper, template.language
        )
    return twiml.say(whisper, template.language)
