"""A list of numbers that nobody may call, as CSV."""

from contextlib import closing
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from outdial.operations.import_suppressions import import_suppressions
from outdial.operations.read_leads_csv import read_leads_csv
from outdial_api import problems
from outdial_api.body_limit import IMPORT_LIMIT
from outdial_api.dependencies import OpenRuntime
from outdial_api.security import Operator
from outdial_api.upload import spooled

router = APIRouter(prefix="/v1/suppressions", tags=["suppressions"], responses=problems.RESPONSES)

_KINDS = {"text/csv", "application/csv", "text/tab-separated-values"}
_EXAMPLE = "phone,reason\n+12125550113,asked by e-mail\n+12125550114,\n"
_BODY = {
    "required": True,
    "content": {"text/csv": {"schema": {"type": "string"}, "example": _EXAMPLE}},
}


class RefusedRow(BaseModel):
    """A row that holds no number."""

    row: int = Field(description="As a spreadsheet counts: the header is 1.")
    field: str
    message: str


class SuppressionImport(BaseModel):
    """What became of the rows."""

    added: int
    known: int = Field(description="They were suppressed already.")
    refused: int
    stopped_calls: int = Field(description="Calls to them that were queued or going on.")
    problems: list[RefusedRow] = Field(description="The first 1,000 of the refused rows.")


@router.post("/import", openapi_extra={"requestBody": _BODY})
async def import_list(
    request: Request,
    runtime: OpenRuntime,
    _key: Operator,
    reason: Annotated[
        str, Query(max_length=200, description="For rows without a `reason` of their own.")
    ] = "imported",
) -> SuppressionImport:
    """Never call any of these numbers again: a header line with `phone`, and perhaps `reason`.

    It acts at once, as each number by itself would; the same file again changes nothing.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in _KINDS:
        raise HTTPException(415, "Send text/csv, and say so in Content-Type.")
    async with spooled(request, IMPORT_LIMIT) as upload:
        with closing(read_leads_csv(upload.file)) as rows:
            done = await import_suppressions(runtime, rows, reason)
    return SuppressionImport(
        added=done.added,
        known=done.known,
        refused=done.refused,
        stopped_calls=done.stopped,
        problems=[
            RefusedRow(row=row, field=problem.field, message=problem.message)
            for row, problem in done.problems
        ],
    )
