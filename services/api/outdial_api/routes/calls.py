"""Single calls: ask for one, follow it, end it, hear it."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from outdial.operations.call_detail import (
    CallDetail,
    call_detail,
    is_attempt,
    newest_attempt_of,
)
from outdial.operations.change_lead import cancel_lead
from outdial.operations.control_campaign import find_campaign
from outdial.operations.enqueue_call import CallRequest, enqueue_call
from outdial.operations.hang_up_call import hang_up_call
from outdial.operations.open_recording import open_recording
from outdial.operations.request_ids import RequestIds
from outdial.storage import attempts, leads
from outdial_api import pages, problems
from outdial_api.dependencies import OpenRuntime
from outdial_api.idempotency import Answer, OnceOnly
from outdial_api.pages import Cursor, Limit, Page
from outdial_api.requests import Dialout, NewCall
from outdial_api.security import Operator, Viewer
from outdial_api.views import (
    CallDetailView,
    CallView,
    EventView,
    Latencies,
    LeadView,
    RecordingView,
    RequestedCall,
    TurnView,
    tools_of,
)

router = APIRouter(tags=["calls"], responses=problems.RESPONSES)
CallId = Annotated[uuid.UUID, Path(description="The call's id, or its lead's.")]


@router.post("/v1/calls", status_code=201, response_model=RequestedCall)
async def ask_for_call(body: NewCall, request: Request, only: OnceOnly) -> Response:
    """Ask for one call. It is dialed as soon as hours, limits and pacing allow."""
    return await _enqueue(body, request, only)


@router.post("/dialout", status_code=201, response_model=RequestedCall)
async def dial_out(body: Dialout, request: Request, only: OnceOnly) -> Response:
    """Call a number with the template `default`: the short way."""
    return await _enqueue(body.as_call(), request, only)


async def _enqueue(body: NewCall, request: Request, only: OnceOnly) -> Response:
    async def work(ids: RequestIds) -> Answer:
        wanted = CallRequest(body.as_raw(), body.template, body.template_version)
        enqueued = await enqueue_call(only.runtime, wanted, ids)
        async with only.runtime.sessions() as session:
            contacts = await leads.contacts_of(session, [enqueued.lead.id])
        view = CallView.of_lead(enqueued.lead, contacts[enqueued.lead.id])
        shown = RequestedCall(call_id=view.id, **view.model_dump())
        return Answer(shown.model_dump(mode="json"))

    return await only.run(await request.body(), work)


@router.get("/v1/calls")
async def list_calls(
    runtime: OpenRuntime,
    _key: Viewer,
    campaign: Annotated[str | None, Query(max_length=200, description="Id or name.")] = None,
    live: Annotated[bool, Query(description="Only those going on.")] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[CallView]:
    """Calls that were dialed, the newest first."""
    campaign_id = (await find_campaign(runtime, campaign)).id if campaign else None
    async with runtime.sessions() as session:
        rows = await attempts.page(
            session,
            before=pages.id_of(cursor),
            limit=limit + 1,
            campaign_id=campaign_id,
            only_live=live,
        )
    return pages.page_of(rows, limit, lambda row: row.id, CallView.of_attempt)


@router.get("/v1/calls/{call_id}")
async def get_call(call_id: CallId, runtime: OpenRuntime, _key: Viewer) -> CallDetailView:
    """Everything about a call: facts, events, transcript, tools, latencies."""
    return _shown(call_id, await call_detail(runtime, call_id))


@router.post("/v1/calls/{call_id}/hangup")
async def hang_up(call_id: CallId, runtime: OpenRuntime, _key: Operator) -> CallDetailView:
    """End a call now; one that was not dialed yet is not dialed."""
    if await is_attempt(runtime, call_id):
        await hang_up_call(runtime, call_id)
    else:
        await cancel_lead(runtime, call_id)  # whatever it is at: dialing, talking, waiting to retry
    return _shown(call_id, await call_detail(runtime, call_id))


@router.get(
    "/v1/calls/{call_id}/recording",
    response_class=StreamingResponse,
    responses={200: {"content": {"audio/x-wav": {}}, "description": "Two channels, 8 kHz."}},
)
async def get_recording(call_id: CallId, runtime: OpenRuntime, _key: Viewer) -> Response:
    """The recording as WAV: the person on channel 1, the agent on channel 2."""
    attempt_id = await newest_attempt_of(runtime, call_id)
    async with AsyncExitStack() as stack:
        answer = await stack.enter_async_context(open_recording(runtime, attempt_id))
        length = answer.headers.get("content-length")
        headers = {"Content-Disposition": f'attachment; filename="{attempt_id}.wav"'}
        if length:
            headers["Content-Length"] = length
        open_until_sent = stack.pop_all()
    return StreamingResponse(
        _blocks(answer.aiter_raw(), open_until_sent), media_type="audio/x-wav", headers=headers
    )


async def _blocks(source: AsyncIterator[bytes], until_sent: AsyncExitStack) -> AsyncIterator[bytes]:
    async with until_sent:
        async for block in source:
            yield block


def _shown(asked: uuid.UUID, detail: CallDetail) -> CallDetailView:
    lead, attempt = detail.lead, detail.attempt
    if attempt is not None:
        summary = CallView.of_attempt(attempt)
    elif lead is not None:
        summary = CallView.of_lead(lead, detail.contacts)
    else:
        raise AssertionError("a call has an attempt or a lead")
    facts = dict(attempt.facts) if attempt else {}
    return CallDetailView(
        **{**summary.model_dump(), "id": asked},
        template=detail.template.slug,
        template_version=detail.template.version,
        attempt_ids=detail.attempt_ids,
        facts=facts,
        result=facts.get("result") or (lead.result if lead else None),
        lead=LeadView.of(lead, detail.contacts, closed=detail.closed) if lead else None,
        events=[EventView.model_validate(event) for event in detail.events],
        transcript=[TurnView.model_validate(turn) for turn in detail.turns],
        tools=tools_of(detail.tools),
        recordings=[
            RecordingView(
                recording_sid=one.recording_sid,
                status=one.status,
                channels=one.channels,
                duration_seconds=one.duration_seconds,
            )
            for one in detail.recordings
        ],
        latencies=Latencies.of(detail.events, detail.turns),
    )
