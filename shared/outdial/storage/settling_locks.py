"""Number, lead and attempt locked at once, in the order that everybody keeps (`locks.py`)."""

import uuid

from sqlalchemy import Select, bindparam, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from outdial.storage.locks import NUMBER
from outdial.storage.tables import Attempt, Lead, Unsettled


async def lock_for_settling(
    session: AsyncSession, attempt_id: uuid.UUID, *, if_told: bool = False
) -> tuple[Attempt, Lead | None] | None:
    """An attempt and its lead, locked until the transaction ends and read afresh.

    The number that it calls is locked before them. None, and no lock, if there is no such attempt,
    or, with `if_told`, if it has no event that no settling has read.
    """
    query = _LOCK_IF_TOLD if if_told else _LOCK
    row = (await session.execute(query, {"id": attempt_id})).one_or_none()
    if row is None:
        return None
    attempt, lead = row
    return attempt, lead


def _locking(*, if_told: bool) -> Select[Attempt, Lead]:
    """The order is that of the joins: the lead is looked for when the number is locked.

    The statement began before it had any lock, and yet it reads what their last holders wrote: of a
    row that it locks, Postgres takes the newest version. For all else ask again after it.
    """
    whom = select(
        Attempt.id,
        Attempt.lead_id,  # neither this nor the number of an attempt ever changes
        func.pg_advisory_xact_lock(NUMBER, func.hashtext(Attempt.phone)).label("is_locked"),
    ).where(Attempt.id == bindparam("id"))
    if if_told:
        whom = whom.where(exists().where(Unsettled.attempt_id == Attempt.id))
    number = whom.cte("number").prefix_with("MATERIALIZED")
    # FOR NO KEY UPDATE: `leads.lock` says why.
    lead = aliased(
        Lead,
        select(Lead)
        .where(Lead.id == number.c.lead_id)
        .with_for_update(key_share=True)
        .lateral("lead"),
    )
    return (
        select(Attempt, lead)
        .select_from(number)
        .outerjoin(lead, true())
        .join(Attempt, Attempt.id == number.c.id)
        .with_for_update(of=Attempt)
        .execution_options(populate_existing=True)
    )


_LOCK = _locking(if_told=False)
_LOCK_IF_TOLD = _locking(if_told=True)
