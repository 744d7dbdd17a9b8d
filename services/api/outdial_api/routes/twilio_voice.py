"""Twilio asks what a call does next. Each answer is TwiML, never an error, and is made at once.

What is left to be written is written after the answer is on its way.
"""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request, Response
from outdial.observability.metrics import ANSWER_SECONDS, REASSIGNED
from outdial.operations.handle_stream_ended import StreamEnded, handle_stream_ended
from outdial.operations.receive_callback import store_afterwards
from outdial.operations.route_answered_call import (
    Answered,
    after_answer,
    answer_without_stores,
    route_answered_call,
)
from outdial.routing.router import Router
from outdial.telephony.callback_events import fallback_event, stream_ended_event
from outdial.telephony.callbacks import AnswerHint

from outdial_api.dependencies import OpenRuntime
from outdial_api.routing_metrics import count_answer
from outdial_api.twilio_security import Signed
from outdial_api.writing import Writing

router = APIRouter(prefix="/twilio", include_in_schema=False)

NOBODYS = UUID(int=0)
"""A template that was not named: the attempt's own row knows better."""


def _pods(request: Request) -> Router:
    pods: Router = request.app.state.pods
    return pods


def _hint(
    template: Annotated[UUID, Query()] = NOBODYS,
    pod: Annotated[str, Query()] = "",
    boot: Annotated[str, Query()] = "",
    at: Annotated[str, Query()] = "",
    lead: Annotated[UUID | None, Query()] = None,
    holds: Annotated[int, Query(ge=0)] = 0,
) -> AnswerHint:
    """What stands in the URL's query: we wrote it, and Twilio signed it."""
    return AnswerHint(pod, boot, at, template, lead, holds)


def _soon(request: Request) -> Writing:
    soon: Writing = request.app.state.writing
    return soon


Soon = Annotated[Writing, Depends(_soon)]
Pods = Annotated[Router, Depends(_pods)]
Hint = Annotated[AnswerHint, Depends(_hint)]


@router.post("/voice/{attempt_id}")
async def voice(
    attempt_id: UUID,
    form: Signed,
    hint: Hint,
    runtime: OpenRuntime,
    pods: Pods,
    later: BackgroundTasks,
    soon: Soon,
) -> Response:
    """Somebody picked up."""
    with ANSWER_SECONDS.labels("voice").time():
        answered = await route_answered_call(runtime, pods, attempt_id, form.call_sid, hint)
    if answered.slot is not None and answered.slot.pod_id != hint.pod_id:
        REASSIGNED.inc()
    count_answer("voice", answered, hint.holds)
    later.add_task(soon, after_answer(runtime, answered))
    return _twiml(answered)


@router.post("/callback/twiml-fallback/{attempt_id}")
async def fallback(
    attempt_id: UUID,
    form: Signed,
    hint: Hint,
    runtime: OpenRuntime,
    pods: Pods,
    later: BackgroundTasks,
    soon: Soon,
) -> Response:
    """Our TwiML could not be had, or not be executed: answer without any store."""
    answered = answer_without_stores(runtime, pods, attempt_id, form.call_sid, hint)
    count_answer("fallback", answered, hint.holds)
    event = fallback_event(form.fields, datetime.now(UTC))
    later.add_task(store_afterwards, runtime, attempt_id, event)
    later.add_task(soon, after_answer(runtime, answered))
    return _twiml(answered)


@router.post("/callback/stream-ended/{attempt_id}/{stream_no}")
async def stream_ended(
    attempt_id: UUID,
    stream_no: int,
    form: Signed,
    runtime: OpenRuntime,
    pods: Pods,
    later: BackgroundTasks,
    soon: Soon,
) -> Response:
    """`<Connect>` is over: the committed plan says what comes next."""
    ended = StreamEnded(attempt_id, stream_no, form.call_sid, form.call_status)
    with ANSWER_SECONDS.labels("stream_ended").time():
        answered = await handle_stream_ended(runtime, pods, ended)
    count_answer("stream_ended", answered, 0)
    event = stream_ended_event(form.fields, stream_no, datetime.now(UTC))
    later.add_task(store_afterwards, runtime, attempt_id, event)
    later.add_task(soon, after_answer(runtime, answered))
    return _twiml(answered)


def _twiml(answered: Answered) -> Response:
    return Response(answered.twiml, media_type="application/xml")
