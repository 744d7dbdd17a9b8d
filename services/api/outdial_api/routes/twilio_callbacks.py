"""Twilio tells what happened. Each fact is stored, then answered with 204; the rest is settling's.

503 while Postgres is away: Twilio tells it again. An attempt that nobody knows has no facts to
store; its callback is acknowledged, and its call is ended.
"""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Response

from outdial.domain.call_events import Event
from outdial.domain.machine_rule import MachineAction
from outdial.operations.leave_voicemail import act_on_verdict
from outdial.operations.receive_callback import Received, follow_up, receive_callback
from outdial.operations.runtime import Runtime
from outdial.operations.save_recording import save_recording
from outdial.operations.speak_voicemail import speak_voicemail_if_pod_does_not
from outdial.telephony.callback_events import (
    amd_event,
    recording_event,
    status_event,
    stream_status_event,
)
from outdial_api.after_answer import after_answer
from outdial_api.dependencies import OpenRuntime
from outdial_api.twilio_security import Signed

router = APIRouter(prefix="/twilio/callback", include_in_schema=False)


@router.post("/status/{attempt_id}")
async def status(
    attempt_id: UUID, form: Signed, runtime: OpenRuntime, later: BackgroundTasks
) -> Response:
    """A step of the call."""
    await _receive(runtime, attempt_id, status_event(form.fields, datetime.now(UTC)), later)
    return Response(status_code=204)


@router.post("/stream-status/{attempt_id}")
async def stream_status(
    attempt_id: UUID, form: Signed, runtime: OpenRuntime, later: BackgroundTasks
) -> Response:
    """A media stream started, stopped or failed."""
    event = stream_status_event(form.fields, datetime.now(UTC))
    await _receive(runtime, attempt_id, event, later)
    return Response(status_code=204)


@router.post("/amd/{attempt_id}")
async def amd(
    attempt_id: UUID, form: Signed, runtime: OpenRuntime, later: BackgroundTasks
) -> Response:
    """Who or what answered."""
    event = amd_event(form.fields, datetime.now(UTC))
    received = await _receive(runtime, attempt_id, event, later)
    if received.known and not received.zombie:
        verdict = form.fields.get("AnsweredBy", "")
        # Before the answer: if the database goes away now it is a 503, and Twilio tells it again.
        if await act_on_verdict(runtime, attempt_id, verdict) is MachineAction.LEAVE_MESSAGE:
            speak = speak_voicemail_if_pod_does_not
            later.add_task(after_answer, speak, runtime, attempt_id)
    return Response(status_code=204)


@router.post("/details/{attempt_id}")
async def details(
    attempt_id: UUID, form: Signed, runtime: OpenRuntime, later: BackgroundTasks
) -> Response:
    """A recording is there."""
    event = recording_event(form.fields, datetime.now(UTC))
    received = await _receive(runtime, attempt_id, event, later)
    if received.known:
        await save_recording(runtime, attempt_id, form.fields)
    return Response(status_code=204)


async def _receive(
    runtime: Runtime, attempt_id: UUID, event: Event, later: BackgroundTasks
) -> Received:
    received = await receive_callback(runtime, attempt_id, event)
    later.add_task(after_answer, follow_up, runtime, received)
    return received
