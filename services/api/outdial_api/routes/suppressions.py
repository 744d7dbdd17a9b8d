"""Numbers that nobody in the deployment may call."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from outdial.domain.errors import NotFound
from outdial.domain.phone_number import parse_phone
from outdial.operations.request_ids import RequestIds
from outdial.operations.suppress_number import allow_again, suppress
from outdial.storage import suppressions
from outdial_api import pages, problems
from outdial_api.dependencies import OpenRuntime
from outdial_api.idempotency import Answer, OnceOnly
from outdial_api.pages import Cursor, Limit, Page
from outdial_api.requests import NewSuppression
from outdial_api.security import Admin, Viewer
from outdial_api.views import SuppressionView

router = APIRouter(prefix="/v1/suppressions", tags=["suppressions"], responses=problems.RESPONSES)
Phone = Annotated[str, Path(max_length=64, description="E.164, the + as %2B or as it is.")]


@router.post("", status_code=201, response_model=SuppressionView)
async def add_suppression(body: NewSuppression, request: Request, only: OnceOnly) -> Response:
    """Never call a number again. It acts at once: queued calls end, live ones are cut."""

    async def work(_ids: RequestIds) -> Answer:
        await suppress(only.runtime, body.phone, body.reason, "api")
        async with only.runtime.sessions() as session:
            found = await suppressions.get(session, body.phone)
        if found is None:
            raise NotFound("The suppression was lifted meanwhile.")
        return Answer(SuppressionView.of(found).model_dump(mode="json"))

    return await only.run(await request.body(), work)


@router.get("")
async def list_suppressions(
    runtime: OpenRuntime, _key: Viewer, limit: Limit = 100, cursor: Cursor = None
) -> Page[SuppressionView]:
    """Suppressed numbers, in their order."""
    async with runtime.sessions() as session:
        rows = await suppressions.page(session, after=pages.text_of(cursor), limit=limit + 1)
    return pages.page_of(rows, limit, lambda row: row.phone, SuppressionView.of)


@router.get("/{phone}")
async def get_suppression(phone: Phone, runtime: OpenRuntime, _key: Viewer) -> SuppressionView:
    """Why and since when a number may not be called."""
    async with runtime.sessions() as session:
        found = await suppressions.get(session, parse_phone(phone))
    if found is None:
        raise NotFound("This number is not suppressed.")
    return SuppressionView.of(found)


@router.delete("/{phone}", status_code=204)
async def lift_suppression(phone: Phone, runtime: OpenRuntime, _key: Admin) -> None:
    """Let a number be called again: only when its owner asked for that."""
    if not await allow_again(runtime, parse_phone(phone)):
        raise NotFound("This number is not suppressed.")
