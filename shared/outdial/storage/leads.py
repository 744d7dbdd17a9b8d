"""Queries on leads and their contacts."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy import Select, bindparam, func, select, text, true, update
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from outdial.domain.lead_state import DUE_STATES, LeadState, ScheduledBy
from outdial.domain.phone_number import zones_within
from outdial.storage import campaign_zones
from outdial.storage.copy_text import copy_line
from outdial.storage.ids import new_id
from outdial.storage.row_locks import locking
from outdial.storage.tables import Contact, Json, Lead

IS_DUE = Lead.state.in_(sorted(DUE_STATES)) & Lead.held_at.is_(None)


@dataclass(frozen=True)
class NewContact:
    """A person and number to call; the first of a lead is called first."""

    phone: str
    name: str | None = None
    timezone: str | None = None


@dataclass(frozen=True)
class NewLead:
    """A lead before it is a row."""

    campaign_id: uuid.UUID
    template_id: uuid.UUID
    contacts: tuple[NewContact, ...]
    variables: Json = field(default_factory=dict)
    external_id: str | None = None
    branch_key: str | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    caller_number: str | None = None
    id: uuid.UUID = field(default_factory=new_id)


@dataclass(frozen=True)
class LeadLines:
    """A new lead and its contacts, ready to be copied in."""

    lead: str
    contacts: str
    of: tuple[uuid.UUID, uuid.UUID]  # campaign and template
    zones: tuple[tuple[str, ...], ...]  # where its contacts can be (`zones_within`)


def lines_of(lead: NewLead, now: datetime) -> LeadLines:
    """A new lead as it will be written: due at `now` or its `not_before`."""
    lead_id = lead.id.hex
    row = copy_line(
        lead_id,
        lead.campaign_id.hex,
        lead.template_id.hex,
        lead.external_id,
        lead.branch_key,
        json.dumps(lead.variables),
        _moment(max(now, lead.not_before) if lead.not_before else now),
        _moment(lead.not_before),
        _moment(lead.expires_at),
        lead.caller_number,
    )
    contacts = [
        copy_line(new_id().hex, lead_id, str(position), each.phone, each.name, each.timezone)
        for position, each in enumerate(lead.contacts)
    ]
    zones = tuple([each for one in lead.contacts for each in zones_within(one.phone, one.timezone)])
    return LeadLines(row, "".join(contacts), (lead.campaign_id, lead.template_id), zones)


@lru_cache(maxsize=100)
def _moment(moment: datetime | None) -> str | None:
    """Most leads of an import are due at the same one."""
    return None if moment is None else str(moment)


async def insert(session: AsyncSession, leads: Sequence[NewLead], now: datetime) -> None:
    """Write new leads, due at `now` or their `not_before`."""
    await insert_lines(session, [lines_of(lead, now) for lead in leads])


async def insert_lines(session: AsyncSession, leads: Sequence[LeadLines]) -> None:
    """Write new leads by COPY, some microseconds each, and where they can be.

    Raises:
        psycopg.Error: one of them does not hold; none is written, and the transaction is lost.
    """
    connection = await _psycopg(session)
    async with connection.cursor() as cursor:
        async with cursor.copy(
            "COPY leads (id, campaign_id, template_id, external_id, branch_key, variables, "
            "next_attempt_at, not_before, expires_at, caller_number) FROM STDIN"
        ) as copy:
            await copy.write("".join([lead.lead for lead in leads]))
        async with cursor.copy(
            "COPY contacts (id, lead_id, position, phone, name, timezone) FROM STDIN"
        ) as copy:
            await copy.write("".join([lead.contacts for lead in leads]))
    await campaign_zones.add(
        session,
        {
            (*of, each)
            for of, some in groupby(leads, key=attrgetter("of"))
            for zones in {lead.zones for lead in some}
            for each in zones
        },
    )


async def _psycopg(session: AsyncSession) -> AsyncConnection[Any]:
    raw = await (await session.connection()).get_raw_connection()
    connection = raw.driver_connection
    if not isinstance(connection, AsyncConnection):
        raise TypeError("COPY needs psycopg's async connection")
    return connection


# One text for thousands of ids: as an array the driver would write each by itself.
_BY_EXTERNAL_ID = text(
    "SELECT external_id, id FROM leads WHERE campaign_id = :campaign AND external_id = ANY("
    "ARRAY(SELECT jsonb_array_elements_text(CAST(:wanted AS jsonb))))"
)


async def ids_by_external_id(
    session: AsyncSession, campaign_id: uuid.UUID, external_ids: Iterable[str]
) -> dict[str, uuid.UUID]:
    """The leads of a campaign that have one of these; holds under `locks.lock_import`."""
    rows = await session.execute(
        _BY_EXTERNAL_ID, {"campaign": campaign_id, "wanted": json.dumps(list(external_ids))}
    )
    return {row.external_id: row.id for row in rows}


async def known_between(session: AsyncSession, first: uuid.UUID, last: uuid.UUID) -> set[uuid.UUID]:
    """Which ids of leads from `first` to `last` exist."""
    return set(await session.scalars(select(Lead.id).where(Lead.id.between(first, last))))


async def get(session: AsyncSession, lead_id: uuid.UUID) -> Lead | None:
    """One lead."""
    return await session.get(Lead, lead_id)


async def lock(session: AsyncSession, lead_id: uuid.UUID) -> Lead | None:
    """One lead, locked until the transaction ends and read afresh.

    FOR NO KEY UPDATE: a transaction that writes an attempt twice makes Postgres look at its lead's
    key once more, after the attempt was locked. With FOR UPDATE that is a lock out of order, and a
    deadlock.
    """
    locked: Lead | None = await session.scalar(_LOCK, {"id": lead_id})
    return locked


_LOCK = locking(Lead, key_share=True)


async def contacts_of(
    session: AsyncSession, lead_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, list[Contact]]:
    """The contacts of each lead, in the order in which they are called."""
    found: dict[uuid.UUID, list[Contact]] = {}
    for contact in await session.scalars(_CONTACTS_OF, {"leads": list(lead_ids)}):
        found.setdefault(contact.lead_id, []).append(contact)
    return found


def _contacts_of() -> Select[Contact]:
    # One by one: before Postgres has looked at a great import (ANALYZE), it takes sixty leads for a
    # fifth of all, and reads every contact there is. OFFSET 0 keeps it from thinking so.
    wanted = func.unnest(bindparam("leads", type_=ARRAY(UUID(as_uuid=True)))).table_valued("id")
    lead = wanted.render_derived("lead")
    its = select(Contact).where(Contact.lead_id == lead.c.id).order_by(Contact.position).offset(0)
    contact_of = aliased(Contact, its.lateral("contact"))
    return select(contact_of).select_from(lead).join(contact_of, true())


_CONTACTS_OF = _contacts_of()


async def lock_due(session: AsyncSession, campaign_id: uuid.UUID, limit: int) -> list[Lead]:
    """Leads whose time has come, earliest first; those that somebody else works on are skipped."""
    rows = await session.scalars(
        select(Lead)
        .where(Lead.campaign_id == campaign_id, IS_DUE, Lead.next_attempt_at <= func.now())
        .order_by(Lead.next_attempt_at, Lead.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def activate(session: AsyncSession, lead_id: uuid.UUID, attempt_id: uuid.UUID) -> bool:
    """Bind a due lead to its attempt; False if it is no longer due."""
    return lead_id in await activate_all(session, {lead_id: attempt_id})


_ACTIVATE = text(
    "UPDATE leads SET state = 'active', live_attempt_id = claimed.attempt_id, refusal = NULL, "
    "refused_at = NULL, version = version + 1 "
    "FROM unnest(CAST(:leads AS uuid[]), CAST(:attempts AS uuid[])) "
    "AS claimed (lead_id, attempt_id) "
    "WHERE leads.id = claimed.lead_id AND leads.state IN ('backlog', 'retry') "
    "RETURNING leads.id"
)


async def activate_all(
    session: AsyncSession, attempts: Mapping[uuid.UUID, uuid.UUID]
) -> set[uuid.UUID]:
    """Bind due leads to their attempts (lead to attempt), all at once; those that were due."""
    pairs = {"leads": list(attempts), "attempts": list(attempts.values())}
    return set(await session.scalars(_ACTIVATE, pairs))


@dataclass(frozen=True)
class Refusal:
    """Why a lead was not dialed now, and when to look again."""

    lead_id: uuid.UUID
    reason: str
    next_attempt_at: datetime


_REFUSE = text(
    "UPDATE leads SET refusal = refused.reason, refused_at = now(), "
    "next_attempt_at = refused.again "
    "FROM unnest(CAST(:leads AS uuid[]), CAST(:reasons AS text[]), CAST(:again AS timestamptz[])) "
    "AS refused (lead_id, reason, again) "
    "WHERE leads.id = refused.lead_id AND leads.state IN ('backlog', 'retry')"
)


async def refuse_all(session: AsyncSession, refusals: Sequence[Refusal]) -> None:
    """Write refusals, all at once. The leads' states stay."""
    if refusals:
        columns = {
            "leads": [refusal.lead_id for refusal in refusals],
            "reasons": [str(refusal.reason) for refusal in refusals],
            "again": [refusal.next_attempt_at for refusal in refusals],
        }
        await session.execute(_REFUSE, columns)


async def schedule(
    session: AsyncSession,
    lead_id: uuid.UUID,
    contact_position: int,
    at: datetime,
    *,
    state: LeadState = LeadState.RETRY,
    scheduled_by: ScheduledBy = ScheduledBy.POLICY,
    unspent_tries: int = 0,
) -> bool:
    """Let a lead wait for its next attempt; also from finished, when a late fact reopens it."""
    return await _change(
        session,
        lead_id,
        LeadState,
        state=state,
        outcome=None,
        finished_at=None,
        live_attempt_id=None,
        contact_position=contact_position,
        next_attempt_at=at,
        scheduled_by=scheduled_by,
        unspent_tries=unspent_tries,
    )


async def finish(
    session: AsyncSession, lead_id: uuid.UUID, outcome: str, result: Json | None = None
) -> bool:
    """End a lead with its one word, and what the agent recorded."""
    return await _change(
        session,
        lead_id,
        LeadState,
        state=LeadState.FINISHED,
        outcome=outcome,
        result=result,
        live_attempt_id=None,
        next_attempt_at=None,
        finished_at=func.now(),
    )


async def _change(
    session: AsyncSession, lead_id: uuid.UUID, states: Iterable[LeadState], **values: object
) -> bool:
    changed = await session.scalar(
        update(Lead)
        .where(Lead.id == lead_id, Lead.state.in_(sorted(states)))
        .values(version=Lead.version + 1, **values)
        .returning(Lead.id)
    )
    return changed is not None


async def count_by_state(
    session: AsyncSession, campaign_id: uuid.UUID
) -> dict[tuple[str, str | None], int]:
    """How many leads of a campaign stand where: (state, outcome) to a count."""
    rows = await session.execute(
        select(Lead.state, Lead.outcome, func.count())
        .where(Lead.campaign_id == campaign_id)
        .group_by(Lead.state, Lead.outcome)
    )
    return {(state, outcome): count for state, outcome, count in rows}


async def count_refusals(session: AsyncSession, campaign_id: uuid.UUID) -> dict[str, int]:
    """How many waiting leads of a campaign were last refused for which reason."""
    rows = await session.execute(
        select(Lead.refusal, func.count())
        .where(Lead.campaign_id == campaign_id, IS_DUE, Lead.refusal.is_not(None))
        .group_by(Lead.refusal)
    )
    return {str(reason): count for reason, count in rows}


async def page(
    session: AsyncSession,
    campaign_id: uuid.UUID,
    *,
    after: uuid.UUID | None = None,
    limit: int = 100,
    state: LeadState | None = None,
) -> list[Lead]:
    """A page of a campaign's leads, in the order in which they came."""
    query = select(Lead).where(Lead.campaign_id == campaign_id).order_by(Lead.id).limit(limit)
    if after is not None:
        query = query.where(Lead.id > after)
    if state is not None:
        query = query.where(Lead.state == state)
    return list(await session.scalars(query))


async def cancel_waiting(session: AsyncSession, campaign_id: uuid.UUID) -> int:
    """Finish every lead of a campaign that waits; the live ones end with their attempts."""
    rows = await session.execute(
        update(Lead)
        .where(Lead.campaign_id == campaign_id, Lead.state.in_(sorted(DUE_STATES)))
        .values(
            state=LeadState.FINISHED,
            outcome="canceled",
            next_attempt_at=None,
            finished_at=func.now(),
            version=Lead.version + 1,
        )
        .returning(Lead.id)
    )
    return len(rows.all())


async def change(session: AsyncSession, lead_id: uuid.UUID, **values: object) -> bool:
    """Change what an operator may change of a waiting lead; False if it does not wait."""
    return await _change(session, lead_id, DUE_STATES, **values)


async def dial_now(session: AsyncSession, lead_id: uuid.UUID) -> bool:
    """Make a waiting lead due, no earlier than its `not_before`; False if it does not wait."""
    return await _change(
        session,
        lead_id,
        DUE_STATES,
        next_attempt_at=func.greatest(func.now(), Lead.not_before),
        scheduled_by=ScheduledBy.OPERATOR,
        held_at=None,
        unspent_tries=0,
    )
