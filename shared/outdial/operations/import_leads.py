"""Import leads: checked one by one, written five thousand at a time.

Each batch is one transaction. A crash in the middle leaves whole batches behind, and running the
import again is harmless: with the same Idempotency-Key every row has the id it had before
(`request_ids`), and a row whose `external_id` is in the campaign already is told apart as a
duplicate. An import of rows without either, sent again, is a second import.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Literal, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.errors import Conflict, FieldProblem, NotFound
from outdial.domain.placeholders import variables_of
from outdial.operations.check_lead import RawLead, Target, check_lead
from outdial.operations.parse_template import template_of
from outdial.operations.request_ids import RequestIds
from outdial.operations.runtime import Runtime
from outdial.storage import campaigns, leads, locks, templates
from outdial.storage.leads import LeadLines

BATCH = 5000
"""Leads in a transaction. The next are read and checked while Postgres writes these; each of its
answers may wait some milliseconds for the thread that reads, so there should not be many."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class ItemResult:
    """What became of one row; `lead_id` is the lead made, or the one that it doubles."""

    row: int
    status: Literal["created", "duplicate", "refused"]
    lead_id: uuid.UUID | None = None
    problem: FieldProblem | None = None


async def import_target(runtime: Runtime, campaign_id: uuid.UUID) -> Target:
    """What leads of this campaign are checked against.

    Raises:
        NotFound: there is no such campaign.
        Conflict: it was canceled.

    """
    async with runtime.sessions() as session:
        campaign = await campaigns.get(session, campaign_id)
        if campaign is None:
            raise NotFound(f"There is no campaign {campaign_id}.")
        if campaign.status == "canceled":
            raise Conflict(f"The campaign {campaign.name} was canceled; make a new one.")
        template = await templates.get(session, campaign.template_id)
        if template is None:
            raise NotFound(f"There is no template {campaign.template_id}.")
    wanted = variables_of(template_of(template.body))
    return Target(campaign.id, template.id, wanted, datetime.now(UTC))


async def import_leads(
    runtime: Runtime, target: Target, rows: Iterator[RawLead], ids: RequestIds
) -> AsyncGenerator[list[ItemResult], None]:
    """Write the leads of `rows`; what became of each comes back batch by batch, in order.

    Reading and checking run in a thread: a large file must not hold up anybody's answer. Whoever
    stops early closes the iterator (`aclosing`) before the file: the thread reads ahead.
    """
    number = 0
    ahead = _reading(rows, target, ids, number)
    try:
        while batch := await ahead:
            number += len(batch)
            ahead = _reading(rows, target, ids, number)
            async with runtime.sessions.begin() as session:
                results = await _write(session, target, batch, ids)
            yield results
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)
    runtime.hints.dispatch()


def _reading(
    rows: Iterator[RawLead], target: Target, ids: RequestIds, number: int
) -> "asyncio.Task[list[_Checked]]":
    return asyncio.create_task(_in_thread(_read, rows, target, ids, number))


async def _in_thread(work: Callable[..., Result], *arguments: object) -> Result:
    """Run `work` in a thread; whoever is canceled waits for it, so that the file stays open."""
    task = asyncio.create_task(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


@dataclass(frozen=True)
class _NewLead:
    """A lead that holds, as it will be written."""

    id: uuid.UUID
    external_id: str | None
    lines: LeadLines


_Checked = tuple[int, _NewLead | FieldProblem]


def _read(rows: Iterator[RawLead], target: Target, ids: RequestIds, number: int) -> list[_Checked]:
    return [
        (raw.row, _checked(raw, target, ids.at(number + offset)))
        for offset, raw in enumerate(islice(rows, BATCH))
    ]


def _checked(raw: RawLead, target: Target, lead_id: uuid.UUID) -> _NewLead | FieldProblem:
    lead = check_lead(raw, target, lead_id)
    if isinstance(lead, FieldProblem):
        return lead
    return _NewLead(lead.id, lead.external_id, leads.lines_of(lead, target.now))


async def _write(
    session: AsyncSession, target: Target, batch: Sequence[_Checked], ids: RequestIds
) -> list[ItemResult]:
    await locks.lock_import(session, target.campaign_id)
    campaign = await campaigns.share(session, target.campaign_id)
    if campaign is None or campaign.status == "canceled":
        raise Conflict("The campaign was canceled while its leads were being imported.")
    new = [lead for _, lead in batch if isinstance(lead, _NewLead)]
    taken = await leads.ids_by_external_id(
        session, target.campaign_id, [lead.external_id for lead in new if lead.external_id]
    )
    mine = await _made_before(session, new, ids)
    fresh: list[LeadLines] = []
    results: list[ItemResult] = []
    for row, lead in batch:
        results.append(_place(row, lead, taken, mine, fresh))
    await leads.insert_lines(session, fresh)
    return results


async def _made_before(
    session: AsyncSession, new: Sequence[_NewLead], ids: RequestIds
) -> set[uuid.UUID]:
    """What an earlier run of the same request wrote: the ids of a request sort by row."""
    if not (ids.repeatable and new):
        return set()
    return await leads.known_between(session, new[0].id, new[-1].id)


def _place(
    row: int,
    lead: _NewLead | FieldProblem,
    taken: dict[str, uuid.UUID],
    mine: set[uuid.UUID],
    fresh: list[LeadLines],
) -> ItemResult:
    if isinstance(lead, FieldProblem):
        return ItemResult(row, "refused", problem=lead)
    if lead.id in mine:
        return ItemResult(row, "created", lead.id)
    if lead.external_id is not None:
        other = taken.setdefault(lead.external_id, lead.id)
        if other != lead.id:
            problem = FieldProblem("external_id", "is in this campaign already")
            return ItemResult(row, "duplicate", other, problem)
    fresh.append(lead.lines)
    return ItemResult(row, "created", lead.id)
