"""A campaign's results as CSV: one line a lead, written as they are read."""

import csv
import io
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from outdial.domain.lead_state import LeadState
from outdial.operations.campaign_now import CampaignNow, campaign_now
from outdial.operations.parse_template import template_of
from outdial.operations.runtime import Runtime
from outdial.operations.why_not_called import refusal_of, why_not_called
from outdial.storage import campaigns, templates
from outdial.storage.results import LeadResult, results_of

COLUMNS = (
    "external_id", "lead_id", "name", "phone", "state", "outcome", "attempts", "last_call_id",
    "last_outcome", "last_called_at", "answered_by", "recording", "next_attempt_at",
    "scheduled_by", "refusal", "why", "finished_at",
)  # fmt: skip
"""Then `result.<field>` for each field of the template's outcome schema."""


async def export_results(runtime: Runtime, campaign_id: uuid.UUID) -> AsyncIterator[bytes]:
    """The lines of the file, the header first."""
    fields = await _result_fields(runtime, campaign_id)
    yield _line([*COLUMNS, *(f"result.{field}" for field in fields), "result"])
    async for page in results_of(runtime.sessions, campaign_id):
        async with runtime.sessions() as session:  # it may be paused or closed meanwhile
            stands = await campaign_now(runtime, session, campaign_id)
        yield b"".join(_line(_row(result, fields, stands)) for result in page)


async def _result_fields(runtime: Runtime, campaign_id: uuid.UUID) -> list[str]:
    async with runtime.sessions() as session:
        campaign = await campaigns.get(session, campaign_id)
        template = await templates.get(session, campaign.template_id) if campaign else None
    if template is None:
        return []
    properties = template_of(template.body).outcome_schema.get("properties")
    return list(properties) if isinstance(properties, dict) else []


def _row(result: LeadResult, fields: Sequence[str], stands: CampaignNow) -> list[str]:
    recorded: Mapping[str, object] = result.lead.result or {}
    other = {key: value for key, value in recorded.items() if key not in fields}
    return [
        *_cells(result, stands),
        *(_cell(recorded.get(field)) for field in fields),
        json.dumps(other, ensure_ascii=False) if other else "",
    ]


def _cells(result: LeadResult, stands: CampaignNow) -> list[str]:
    """As `GET /v1/leads/{id}` tells it, without asking for each lead."""
    lead, last, contacts = result.lead, result.last, result.contacts
    why = why_not_called(lead, contacts, stands.campaign, stands.closed, held_up=stands.held_up)
    return [
        _cell(lead.external_id),
        str(lead.id),
        _cell(result.contact.name if result.contact else None),
        result.contact.phone if result.contact else "",
        lead.state,
        lead.outcome or "",
        str(result.attempts),
        str(last.id) if last else "",
        (last.outcome or "") if last else "",
        _time(last.intent_at if last else None),
        _cell(last.facts.get("answered_by")) if last else "",
        f"/v1/calls/{last.id}/recording" if last and result.recorded else "",
        _time(lead.next_attempt_at),
        lead.scheduled_by if lead.next_attempt_at else "",
        _cell(refusal_of(lead, contacts, stands.closed)),
        "" if lead.state == LeadState.FINISHED else _cell(why),
        _time(lead.finished_at),
    ]


def _time(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


def _cell(value: object) -> str:
    """Text that no spreadsheet runs: what a person said may begin with = and mean a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    risky = isinstance(value, str) and text[:1] in {"=", "+", "-", "@", "\t", "\r"}
    return f"'{text}" if risky else text


def _line(cells: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode()
