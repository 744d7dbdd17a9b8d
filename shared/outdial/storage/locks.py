"""Advisory locks, held until the transaction ends.

Everybody takes locks in one order, so that nobody waits in a circle: account, import, number, lead
row, attempt row.
"""

import uuid
from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_ACCOUNT, _IMPORT, NUMBER, _TEMPLATE, _SWEEP = 1, 2, 3, 4, 5
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
    await session.execute(_LOCK, {"kind": NUMBER, "key": phone})


async def lock_numbers(session: AsyncSession, phones: Iterable[str]) -> None:
    """`lock_number` for several, in an order that everybody shares."""
    await session.execute(_LOCK_NUMBERS, {"kind": NUMBER, "phones": list(phones)})
