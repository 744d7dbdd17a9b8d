"""Numbers of ours that calls come from."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from outdial.domain.errors import NotFound
from outdial.operations.request_ids import RequestIds
from outdial.operations.sync_numbers import sync_numbers
from outdial.storage import numbers
from outdial_api import problems
from outdial_api.dependencies import OpenRuntime
from outdial_api.idempotency import Answer, OnceOnly
from outdial_api.pages import Page
from outdial_api.requests import NewNumber
from outdial_api.security import Operator, Viewer
from outdial_api.views import NumberSyncView, NumberView

router = APIRouter(prefix="/v1/numbers", tags=["numbers"], responses=problems.RESPONSES)


@router.post("", status_code=201, response_model=NumberView)
async def add_number(body: NewNumber, request: Request, only: OnceOnly) -> Response:
    """Let calls come from a number; one that is known stays as it is."""

    async def work(_ids: RequestIds) -> Answer:
        async with only.runtime.sessions.begin() as session:
            await numbers.add(session, body.phone, body.label)
            number = await numbers.get(session, body.phone)
        if number is None:
            raise NotFound("The number was not written.")
        return Answer(NumberView.of(number).model_dump(mode="json"))

    return await only.run(await request.body(), work)


@router.post("/sync")
async def sync(runtime: OpenRuntime, _key: Operator) -> NumberSyncView:
    """Add the account's numbers that can call; none is taken out. It may be repeated."""
    return NumberSyncView.of(await sync_numbers(runtime))


@router.get("")
async def list_numbers(runtime: OpenRuntime, _key: Viewer) -> Page[NumberView]:
    """Every number, those set aside too."""
    async with runtime.sessions() as session:
        rows = await numbers.all_numbers(session)
    return Page(items=[NumberView.of(row) for row in rows], next_cursor=None)


@router.get("/{phone}")
async def get_number(
    phone: Annotated[str, Path(max_length=64)], runtime: OpenRuntime, _key: Viewer
) -> NumberView:
    """One number."""
    async with runtime.sessions() as session:
        number = await numbers.get(session, phone)
    if number is None:
        raise NotFound("There is no such number.")
    return NumberView.of(number)


@router.post("/{phone}/restore")
async def restore_number(
    phone: Annotated[str, Path(max_length=64)], runtime: OpenRuntime, _key: Operator
) -> NumberView:
    """Let calls come again from a number that was set aside, once its trouble is mended."""
    async with runtime.sessions.begin() as session:
        known = await numbers.restore(session, phone)
        number = await numbers.get(session, phone)
    if not known or number is None:
        raise NotFound("There is no such number.")
    runtime.hints.dispatch()
    return NumberView.of(number)
