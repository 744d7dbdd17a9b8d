"""Twilio asks what a call does next. Each answer is TwiML, never an error, and is made at once.

What is left to be written is written after the answer is on its way. These routes read their
requests themselves: FastAPI's dependencies and query parameters took longer than all the rest.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Request, Response

from outdial.domain.call_events import Event
from outdial.observability.metrics import ANSWER_SECONDS, REASSIGNED
from outdial.operations.handle_stream_ended import StreamEnded, handle_stream_ended
from outdial.operations.handle_transfer import (
    TransferEnded,
    handle_transfer_ended,
    whisper_to_human,
)
from outdial.operations.route_answered_call import (
    Answered,
    answer_without_stores,
    assign_answered_pod,
    event_of,
    route_answered_call,
)
from outdial.operations.zombie_calls import end_zombie
from outdial.telephony import twiml
from outdial.telephony.callback_events import (
    fallback_event,
    stream_ended_event,
    transfer_event,
    voicemail_spoken_event,
)
from outdial.telephony.callbacks import AnswerHint
from outdial_api.dependencies import gateway_of, writing_of
from outdial_api.routing_metrics import count_answer
from outdial_api.twilio_security import signed_form

router = APIRouter(prefix="/twilio", include_in_schema=False)

NOBODYS = UUID(int=0)
"""A template that was not named: the attempt's own row knows better."""


@router.post("/voice/{attempt_id}")
async def voice(attempt_id: UUID, request: Request) -> Response:
    """Somebody picked up."""
    form, gateway, hint = await signed_form(request), await gateway_of(request), _hint(request)
    with ANSWER_SECONDS.labels("voice").time():
        answered = await route_answered_call(gateway, attempt_id, form.call_sid, hint)
    if answered.slot is not None and answered.slot.pod_id != hint.pod_id:
        REASSIGNED.inc()
    count_answer("voice", answered, hint.holds)
    return await _twiml(request, answered)


@router.post("/callback/twiml-fallback/{attempt_id}")
async def fallback(attempt_id: UUID, request: Request) -> Response:
    """Our TwiML could not be had, or not be executed: answer without any store."""
    form, gateway, hint = await signed_form(request), await gateway_of(request), _hint(request)
    answered = answer_without_stores(gateway, attempt_id, form.call_sid, hint)
    count_answer("fallback", answered, hint.holds)
    return await _twiml(request, answered, fallback_event(form.fields, datetime.now(UTC)))


@router.post("/callback/stream-ended/{attempt_id}/{stream_no}")
async def stream_ended(attempt_id: UUID, stream_no: int, request: Request) -> Response:
    """`<Connect>` is over: the committed plan says what comes next."""
    form, gateway = await signed_form(request), await gateway_of(request)
    holds = _holds(request.query_params)
    language = request.query_params.get("lang", "")
    ended = StreamEnded(attempt_id, form.call_sid, form.call_status, holds, language, stream_no)
    with ANSWER_SECONDS.labels("stream_ended").time():
        answered = await handle_stream_ended(gateway, ended)
    count_answer("stream_ended", answered, holds)
    event = stream_ended_event(form.fields, stream_no, datetime.now(UTC))
    return await _twiml(request, answered, event)


@router.post("/callback/voicemail-spoken/{attempt_id}")
async def voicemail_spoken(attempt_id: UUID, request: Request) -> Response:
    """The carrier has left the message that no pod did."""
    form = await signed_form(request)
    answered = Answered(twiml.hangup(), attempt_id, form.call_sid)
    return await _twiml(request, answered, voicemail_spoken_event(form.fields, datetime.now(UTC)))


@router.post("/callback/transfer-ended/{attempt_id}")
async def transfer_ended(attempt_id: UUID, request: Request) -> Response:
    """The dial to a human is over: they have met, or nobody came."""
    form, gateway, given = (
        await signed_form(request),
        await gateway_of(request),
        request.query_params,
    )
    holds = _holds(given)
    # A Redirect does not tell of the dial any more: our URL does.
    fields = {"DialCallStatus": given.get("dial", ""), **form.fields}
    told = transfer_event(fields, datetime.now(UTC))
    language = given.get("lang", "")
    ended = TransferEnded(attempt_id, form.call_sid, form.call_status, holds, language, told)
    with ANSWER_SECONDS.labels("transfer_ended").time():
        answered = await handle_transfer_ended(gateway, ended)
    count_answer("transfer_ended", answered, holds)
    return await _twiml(request, answered, told)


@router.post("/callback/transfer-whisper/{attempt_id}")
async def transfer_whisper(attempt_id: UUID, request: Request) -> Response:
    """The human has picked up: what they hear before the two meet."""
    await signed_form(request)
    text = await whisper_to_human((await gateway_of(request)).runtime, attempt_id)
    return Response(text, media_type="application/xml")


def _hint(request: Request) -> AnswerHint:
    """What stands in the URL's query: we wrote it, and Twilio signed it.

    Whatever cannot be read is left out: a person is on the telephone.
    """
    given = request.query_params
    return AnswerHint(
        pod_id=given.get("pod", ""),
        boot_id=given.get("boot", ""),
        pod_url=given.get("at", ""),
        template_id=_id_in(given.get("template", "")) or NOBODYS,
        lead_id=_id_in(given.get("lead", "")),
        holds=_holds(given),
        language=given.get("lang", ""),
    )


def _holds(given: Mapping[str, str]) -> int:
    """How often the call was asked to wait for this answer."""
    holds = given.get("holds", "")
    return int(holds[:3]) if holds.isdecimal() else 0


def _id_in(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def _twiml(request: Request, answered: Answered, told: Event | None = None) -> Response:
    """The answer; what is to be written about it, and what the request told, comes after."""
    gateway, writing = await gateway_of(request), await writing_of(request)
    runtime, attempt_id = gateway.runtime, answered.attempt_id
    for event in (event_of(answered, datetime.now(UTC)), told):
        if event is not None:
            writing.put(attempt_id, event)
    left = BackgroundTasks()
    if answered.zombie:
        left.add_task(writing.after, end_zombie, runtime, attempt_id, answered.call_sid)
    elif answered.left_pod or (answered.slot is not None and not answered.as_prepared):
        left.add_task(writing.after, assign_answered_pod, runtime, answered)
    return Response(
        answered.twiml, media_type="application/xml", background=left if left.tasks else None
    )
