"""A media stream has ended: what the call does next (PROTOCOL.md 9).

Twilio asks when the pod closed its socket, when the pod died, perhaps on hang-up, perhaps after a
REST update, perhaps twice. The committed plan answers; a conversation that nobody closed goes on at
another pod, with the next stream number, from the transcript so far.
"""

from dataclasses import dataclass
from uuid import UUID

import structlog

from outdial.domain.attempt_state import Plan
from outdial.domain.call_template import Pods
from outdial.observability.metrics import MOVED
from outdial.operations.ask_in_time import Away, ask_in_time
from outdial.operations.connect_call import GOODBYE, connect, hold_or_goodbye, slot_for
from outdial.operations.gateway import Gateway
from outdial.operations.route_answered_call import Answered, may_connect, read_attempt
from outdial.operations.runtime import Runtime
from outdial.operations.twiml_of_plan import twiml_of_plan, was_closed
from outdial.operations.wanted_pods import wanted_pods
from outdial.operations.zombie_calls import is_zombie
from outdial.routing.slot_reservation import Slot
from outdial.storage import attempts
from outdial.storage.tables import Attempt
from outdial.telephony import twiml
from outdial.telephony.callbacks import AnswerHint

_log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 2.0
"""For Postgres. Without it nobody may say that the conversation goes on (only one may). Half a
second less than Twilio waits (`CallbackUrls.stream_ended`): after it there is only a goodbye."""


@dataclass(frozen=True)
class StreamEnded:
    """What Twilio posted to `action`."""

    attempt_id: UUID
    stream_no: int
    call_sid: str
    call_status: str


async def handle_stream_ended(gateway: Gateway, ended: StreamEnded) -> Answered:
    """The TwiML that the call executes next."""
    if ended.call_status != "in-progress":
        return _say(ended, twiml.empty())
    found = await ask_in_time(PATIENCE_SECONDS, _next(gateway, ended))
    if isinstance(found, Away):
        _log.error("stream_ended_unread", attempt_id=str(ended.attempt_id), reason=found.reason)
        return _say(ended, twiml.say_goodbye(GOODBYE))
    return found


async def _next(gateway: Gateway, ended: StreamEnded) -> Answered:
    runtime = gateway.runtime
    attempt = await read_attempt(runtime, ended.attempt_id)
    if attempt is None or not may_connect(attempt, ended.call_sid):
        zombie = is_zombie(attempt, ended.call_sid, ended.call_status)
        return Answered(twiml.hangup(), ended.attempt_id, ended.call_sid, zombie=zombie)
    if attempt.plan != Plan.CONVERSATION:
        return _say(ended, await twiml_of_plan(runtime, attempt))
    if attempt.stream_no != ended.stream_no:
        return await _connect_again(gateway, attempt, ended.call_sid)
    if await was_closed(runtime, attempt):
        return _say(ended, twiml.hangup())
    return await _resume(gateway, attempt, ended)


async def _resume(gateway: Gateway, attempt: Attempt, ended: StreamEnded) -> Answered:
    """Move the call to another pod, or say goodbye when it has been moved often enough.

    The slot is moved before the stream number: of two requests for one stream the one that loses
    the compare-and-set finds the same new slot, never the lost pod's.
    """
    runtime = gateway.runtime
    if attempt.stream_no > runtime.settings.resumes:
        MOVED.labels("stream_lost", "given_up").inc()
        return _say(ended, await _give_up(runtime, attempt))
    hint = _hint(attempt)
    lost = (attempt.pod or "", attempt.boot_id or "")
    wanted = await _wanted(runtime, attempt)
    slot, degraded = await slot_for(gateway, attempt.id, hint, wanted, avoid=lost)
    async with runtime.sessions.begin() as session:
        won = await attempts.next_stream(session, attempt.id, attempt.stream_no)
        if won and slot is not None:
            await attempts.assign_pod(session, attempt.id, slot.pod_id, slot.boot_id)
        elif won:  # on hold it stands on no pod: only its Redirect moves it on
            await attempts.leave_pod(session, attempt.id, attempt.stream_no + 1, attempt.pod)
    if won:
        MOVED.labels("stream_lost", "no_room" if slot is None else "resumed").inc()
    _log.warning("stream_lost", attempt_id=str(attempt.id), pod=lost[0], resumed=won)
    current = await read_attempt(runtime, attempt.id)
    if current is None or not may_connect(current, ended.call_sid):
        return _say(ended, twiml.hangup())
    if current.plan != Plan.CONVERSATION:
        return _say(ended, await twiml_of_plan(runtime, current))
    return _connected(runtime, current, ended.call_sid, slot, degraded)


async def _connect_again(gateway: Gateway, attempt: Attempt, call_sid: str) -> Answered:
    """A request for a stream that is not the current one: the current one's TwiML once more."""
    wanted = await _wanted(gateway.runtime, attempt)
    slot, degraded = await slot_for(gateway, attempt.id, _hint(attempt), wanted)
    return _connected(gateway.runtime, attempt, call_sid, slot, degraded)


def _connected(
    runtime: Runtime, attempt: Attempt, call_sid: str, slot: Slot | None, degraded: bool
) -> Answered:
    hint, settings = _hint(attempt), runtime.settings
    if slot is None:
        text = hold_or_goodbye(settings, attempt.id, hint)
        return Answered(text, attempt.id, call_sid, attempt.stream_no, holds=hint.holds)
    text = connect(settings, attempt.id, attempt.stream_no, hint, slot)
    return Answered(text, attempt.id, call_sid, attempt.stream_no, slot, degraded)


async def _give_up(runtime: Runtime, attempt: Attempt) -> str:
    """Goodbye, and the lead is retried. The plan first: this call is not taken up again."""
    async with runtime.sessions.begin() as session:
        await attempts.change_plan(session, attempt.id, Plan.CONVERSATION, Plan.HANGUP)
    return twiml.say_goodbye(GOODBYE)


async def _wanted(runtime: Runtime, attempt: Attempt) -> Pods:
    async with runtime.sessions() as session:
        return await wanted_pods(session, attempt.template_id)


def _hint(attempt: Attempt) -> AnswerHint:
    return AnswerHint(
        pod_id=attempt.pod or "",
        boot_id=attempt.boot_id or "",
        pod_url="",
        template_id=attempt.template_id,
        lead_id=attempt.lead_id,
    )


def _say(ended: StreamEnded, text: str) -> Answered:
    return Answered(text, ended.attempt_id, ended.call_sid)
