"""Bulk import of leads: JSON, NDJSON or CSV, with a result for each."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from outdial.domain.errors import OutdialError
from outdial.operations.check_lead import RawLead, Target
from outdial.operations.import_leads import ItemResult, import_leads, import_target
from outdial.operations.read_leads_csv import read_leads_csv
from outdial.operations.read_leads_json import read_leads_json, read_leads_ndjson
from outdial.operations.request_ids import RequestIds
from outdial.storage.tables import Campaign
from outdial_api import problems
from outdial_api.body_limit import IMPORT_LIMIT
from outdial_api.idempotency import Answer, Claim, Once, OnceOnly
from outdial_api.routes.campaigns import Found
from outdial_api.upload import Upload, spooled

router = APIRouter(tags=["leads"], responses=problems.RESPONSES)

JSON_LIMIT = 16 * 1024 * 1024
"""A JSON body is read whole; NDJSON and CSV are read as they come."""

Kind = Literal["json", "ndjson", "csv"]
_KINDS: dict[str, Kind] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "csv",
}


class LeadResult(BaseModel):
    """What became of one lead that was sent."""

    row: int = Field(description="CSV: the row, the header is 1. NDJSON: the line. JSON: from 0.")
    status: Literal["created", "duplicate", "refused"]
    lead_id: str | None = Field(description="The lead made, or the one that it doubles.")
    field: str | None = Field(description="What does not fit.", examples=["phone"])
    message: str | None = Field(examples=["is not a phone number"])


class ImportResult(BaseModel):
    """What became of all of them, in the order in which they were sent."""

    created: int
    duplicates: int
    refused: int
    results: list[LeadResult]


_EXAMPLE = {
    "leads": [
        {
            "external_id": "A-001",
            "phone": "+12125550100",
            "name": "Maria Lopez",
            "timezone": "America/New_York",
            "variables": {"clinic": "Lakeside Clinic", "appointment": "Tuesday at ten thirty"},
        },
        {
            "external_id": "A-002",
            "contacts": [
                {"phone": "+13035550101", "name": "James Carter"},
                {"phone": "+13035550102", "name": "Ann Carter"},
            ],
            "variables": {"clinic": "Lakeside Clinic", "appointment": "Wednesday at two"},
        },
    ]
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"type": "object"}, "example": _EXAMPLE},
        "application/x-ndjson": {
            "schema": {"type": "string"},
            "example": "\n".join(json.dumps(lead) for lead in _EXAMPLE["leads"]),
        },
        "text/csv": {
            "schema": {"type": "string"},
            "example": "external_id,name,phone,clinic,appointment\n"
            "A-001,Maria Lopez,+12125550100,Lakeside Clinic,Tuesday at ten thirty\n",
        },
    },
}


@router.post(
    "/v1/campaigns/{campaign}/leads",
    response_model=ImportResult,
    openapi_extra={"requestBody": _BODY},
)
async def import_into(
    request: Request,
    found: Found,
    only: OnceOnly,
    results: Annotated[
        Literal["all", "refused"], Query(description="All results, or only what is not in.")
    ] = "all",
) -> Response:
    """Add leads. Each is checked by itself: the good ones are in, the others are named.

    A row whose `external_id` is in the campaign already is a duplicate and changes nothing. Sent
    again with the same `Idempotency-Key` after a crash or a timeout, nothing is imported twice.
    """
    kind = _kind(request)
    limit = JSON_LIMIT if kind == "json" else IMPORT_LIMIT
    async with spooled(request, limit) as upload:
        target = await import_target(only.runtime, found.id)
        claimed = await _claim(only, upload)
        report = _Report(keep_created=results == "all")
        try:
            with closing(_rows(kind, upload, target)) as rows:
                await _run(only, found, target, rows, claimed, report)
        except (OutdialError, HTTPException):
            report.close()
            if claimed is not None:
                await claimed.forget()
            raise
        except BaseException:
            report.close()
            raise
    return StreamingResponse(report.blocks(), media_type="application/json")


async def _claim(only: Once, upload: Upload) -> Claim | None:
    """The right to run.

    An import that was answered before runs again: under the same ids every row finds its lead, and
    the answer is the same without having been kept.
    """
    if only.key is None:
        return None
    claimed = await only.claim(upload.digest)
    if isinstance(claimed, Claim):
        return claimed
    return await only.claim_again(upload.digest)


async def _run(
    only: Once,
    campaign: Campaign,
    target: Target,
    rows: Iterator[RawLead],
    claimed: Claim | None,
    report: "_Report",
) -> None:
    ids = claimed.ids if claimed else RequestIds()
    async with aclosing(import_leads(only.runtime, target, rows, ids)) as batches:
        async for batch in batches:
            await asyncio.to_thread(report.add, batch)
            if claimed is not None:
                await claimed.renew()
    if claimed is not None:
        await claimed.finish(Answer({"campaign_id": str(campaign.id)}, 200))


def _kind(request: Request) -> Kind:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    kind = _KINDS.get(content_type)
    if kind is None:
        raise HTTPException(
            415, "Send application/json, application/x-ndjson or text/csv, and say which it is."
        )
    return kind


def _rows(kind: Kind, upload: Upload, target: Target) -> Generator[RawLead, None, None]:
    if kind == "csv":
        return read_leads_csv(upload.file, target.wanted)
    return read_leads_json(upload.file) if kind == "json" else read_leads_ndjson(upload.file)


class _Report:
    """Results on disk until they are sent."""

    def __init__(self, *, keep_created: bool) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is sent
        self._keep_created = keep_created
        self._counts = {"created": 0, "duplicate": 0, "refused": 0}
        self._empty = True

    def add(self, batch: list[ItemResult]) -> None:
        """Write down what became of these."""
        lines = []
        for item in batch:
            self._counts[item.status] += 1
            if self._keep_created or item.status != "created":
                lines.append(json.dumps(_shown(item)))
        if lines:
            self._file.write((("" if self._empty else ",") + ",".join(lines)).encode())
            self._empty = False

    async def blocks(self) -> AsyncIterator[bytes]:
        """The answer, piece by piece."""
        try:
            counts = self._counts
            yield (
                f'{{"created":{counts["created"]},"duplicates":{counts["duplicate"]},'
                f'"refused":{counts["refused"]},"results":['
            ).encode()
            self._file.seek(0)
            while block := await asyncio.to_thread(self._file.read, 256 * 1024):
                yield block
            yield b"]}"
        finally:
            self.close()

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


def _shown(item: ItemResult) -> dict[str, Any]:
    return {
        "row": item.row,
        "status": item.status,
        "lead_id": str(item.lead_id) if item.lead_id else None,
        "field": item.problem.field if item.problem else None,
        "message": item.problem.message if item.problem else None,
    }
