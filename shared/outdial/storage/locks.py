"""Advisory locks, held until the transaction ends.

Everybody takes locks in one order, so that nobody waits in a circle: account, import, number, lead
row, attempt row.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_ACCOUNT, _IMPORT, _NUMBER, _TEMPLATE, _SWEEP = 1, 2, 3, 4, 5
_LOCK = text("SELECT pg_advisory_xact_lock(:kind, hashtext(:key))")
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:kind, hashtext(:key))")
# Ordered by the hash that is locked, not by the number: two numbers may share one.
_LOCK_NUMBERS = text(
    "SELECT pg_advisory_xact_lock(:kind, key) FROM ("
    "SELECT DISTINCT hashtext(phone) AS key FROM unnest(CAST(:phones AS text[])) AS phone "
    "ORDER BY key) AS keys"
)


async def lock_account(session: AsyncSession, account: str) -> None:
    """Serialise claims: limits are counted under this lock."""
    await session.execute(_LOCK, {"kind": _ACCOUNT, "key": account})


async def try_lock_account(session: AsyncSession, account: str) -> bool:
    """`lock_account` without waiting: False if somebody is claiming at this moment."""
    return bool(await session.scalar(_TRY_LOCK, {"kind": _ACCOUNT, "key": account}))


async def try_lock_sweep(session: AsyncSession, name: str) -> bool:
    """Sweep alone: False if somebody runs the sweeps of this name already."""
    return bool(await session.scalar(_TRY_LOCK, {"kind": _SWEEP, "key": name}))


async def lock_import(session: AsyncSession, campaign_id: uuid.UUID) -> None:
    """Serialise imports into a campaign, so that an external id is looked up once and holds."""
    await session.execute(_LOCK, {"kind": _IMPORT, "key": str(campaign_id)})


async def lock_template(session: AsyncSession, slug: str) -> None:
    """Serialise the versions of a template."""
    await session.execute(_LOCK, {"kind": _TEMPLATE, "key": slug})


async def lock_number(session: AsyncSession, phone: str) -> None:
    """Dialing a number and suppressing it exclude each other."""
    await session.execute(_LOCK, {"kind": _NUMBER, "key": phone})


@dataclass(frozen=True)
class Whom:
    """Whom an attempt calls, and for which lead: what never changes of it."""

    phone: str
    lead_id: uuid.UUID | None


# The lock is taken for the row that is found, and for none if there is none.
_LOCK_NUMBER_OF = text(
    "SELECT phone, lead_id, pg_advisory_xact_lock(:kind, hashtext(phone)) "
    "FROM attempts WHERE id = :attempt"
)
_LOCK_NUMBER_IF_TOLD = text(
    "SELECT phone, lead_id, pg_advisory_xact_lock(:kind, hashtext(phone)) "
    "FROM attempts WHERE id = :attempt "
    "AND EXISTS (SELECT 1 FROM unsettled WHERE attempt_id = :attempt)"
)


async def lock_number_of(
    session: AsyncSession, attempt_id: uuid.UUID, *, if_told: bool = False
) -> Whom | None:
    """`lock_number` for whom an attempt calls; None, and no lock, if there is no such attempt.

    `if_told`: neither if it has no event that no settling has read.
    """
    query = _LOCK_NUMBER_IF_TOLD if if_told else _LOCK_NUMBER_OF
    row = (await session.execute(query, {"kind": _NUMBER, "attempt": attempt_id})).one_or_none()
    return None if row is None else Whom(row.phone, row.lead_id)


async def lock_numbers(session: AsyncSession, phones: Iterable[str]) -> None:
    """`lock_number` for several, in an order that everybody shares."""
    await session.execute(_LOCK_NUMBERS, {"kind": _NUMBER, "phones": list(phones)})
