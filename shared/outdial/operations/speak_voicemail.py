"""The pod does not leave the message: the carrier speaks it (PROTOCOL.md 10).

A pod that heard of the plan writes `voicemail_begun` before it waits for the beep. When a second
has gone by without it, the call's TwiML is updated. Both write under the attempt's row lock, so one
of them is first: who finds the pod's word leaves the call to it, and who does not takes the call
away with the next stream number, which ends the pod's stream wherever it is (a pod that is frozen
sees it when it thaws). Gateway, sweep and watcher of silent pods all take it so: one of them wins.

Only when the carrier has been told does the call stand on no pod. Whoever dies before leaves it to
the sweep, which would rather have a message begun twice in one call than left to nobody.
"""

import asyncio
from uuid import UUID

import structlog

from outdial.domain.attempt_state import AttemptState, Plan
from outdial.domain.call_events import Source
from outdial.operations.conversation_record import machine_verdict
from outdial.operations.route_answered_call import read_attempt
from outdial.operations.runtime import Runtime
from outdial.operations.twiml_of_plan import speak_voicemail, was_closed
from outdial.operations.zombie_calls import OVER
from outdial.storage import attempts, call_events, plan_changes
from outdial.storage.tables import Attempt, CallEvent
from outdial.telephony.dial_result import NotUpdated, Updated

_log = structlog.get_logger(__name__)

ACKNOWLEDGE_SECONDS = 1.0
_WITHOUT_BEEP = 2
"""Seconds of silence before the message when nobody knows where the greeting ends."""


async def speak_voicemail_if_pod_does_not(
    runtime: Runtime, attempt_id: UUID, wait_seconds: float = ACKNOWLEDGE_SECONDS
) -> bool:
    """Give the pod its second; True if the carrier speaks the message instead."""
    before = await read_attempt(runtime, attempt_id)
    await asyncio.sleep(wait_seconds)
    if before is None or not await take_message_over(runtime, attempt_id, before.stream_no):
        return False
    return await have_carrier_speak(runtime, attempt_id)


async def take_message_over(
    runtime: Runtime, attempt_id: UUID, stream_no: int, lost: tuple[str, str] | None = None
) -> bool:
    """Commit that the pod leaves no message on stream `stream_no` any more.

    False if it has begun to; or, of a pod (id, boot id) that is `lost`, if it has left it.
    """
    async with runtime.sessions.begin() as session:
        attempt = await attempts.lock(session, attempt_id)
        if attempt is None or not _may_take_over(attempt, stream_no, lost):
            return False
        events = await call_events.of_attempt(session, attempt_id)
        if was_closed(attempt, events):
            return False
        if lost is None and any(_has_begun(event, stream_no) for event in events):
            return False
        await attempts.next_stream(session, attempt_id, stream_no)
        await attempts.touch(session, [attempt_id])  # the sweep gives us time to tell the carrier
        await plan_changes.announce(session, attempt_id)
    return True


async def have_carrier_speak(runtime: Runtime, attempt_id: UUID) -> bool:
    """Tell the carrier the words of a message that was taken over; False if it was not told."""
    attempt = await read_attempt(runtime, attempt_id)
    if attempt is None or attempt.call_sid is None:
        return False
    verdict = await machine_verdict(runtime, attempt_id) or ""
    pause = 0 if verdict.startswith("machine_end") else _WITHOUT_BEEP
    text = await speak_voicemail(runtime, attempt, pause_seconds=pause)
    result = await runtime.carrier.update_twiml(attempt.call_sid, text)
    if not isinstance(result, NotUpdated):
        async with runtime.sessions.begin() as session:
            await attempts.leave_pod(session, attempt_id, attempt.stream_no, attempt.pod)
    spoken = isinstance(result, Updated)
    # Refused, it is not lost: `action` is answered with the same words, and the sweep comes again.
    _log.warning("pod_leaves_no_message", attempt_id=str(attempt_id), carrier_speaks=spoken)
    return spoken


def _may_take_over(attempt: Attempt, stream_no: int, lost: tuple[str, str] | None) -> bool:
    return (
        attempt.state != AttemptState.ENDED
        and attempt.plan == Plan.VOICEMAIL
        and attempt.stop_reason is None
        and attempt.stream_no == stream_no
        and attempt.call_sid is not None
        and lost in {None, (attempt.pod, attempt.boot_id)}
        and attempt.facts.get("carrier_status") not in OVER
    )


def _has_begun(event: CallEvent, stream_no: int) -> bool:
    return (
        event.source == Source.POD
        and event.kind in {"voicemail_begun", "conversation_closed"}
        and event.payload.get("stream_no") == stream_no
    )
