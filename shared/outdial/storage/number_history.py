"""What a number has been through: when it was called and spoken with, in every campaign."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, Text, and_, any_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState
from outdial.domain.call_outcome import Outcome
from outdial.domain.limits import WEEK, NumberPast
from outdial.storage.tables import Attempt

_QUEUED_BEFORE = timedelta(days=1)
"""An attempt is dialed within its claim's lease, and ends within hours, of being queued."""

_MACHINES = (Outcome.MACHINE, Outcome.VOICEMAIL_LEFT, Outcome.FAX)

IS_CONVERSATION: ColumnElement[bool] = and_(
    Attempt.facts["human_turns"].as_integer() > 0, Attempt.outcome.not_in(_MACHINES)
)
"""A person said something, in whichever direction the call went."""

COUNTS: ColumnElement[bool] = and_(
    Attempt.direction == "outbound",
    Attempt.spent.is_(True),
    Attempt.intent_at.is_not(None),
)
"""A dial that disturbed the person."""


async def pasts_of(
    session: AsyncSession, phones: Iterable[str], back: timedelta, now: datetime
) -> dict[str, NumberPast]:
    """The past of each number over `back`; one that nobody called has an empty one.

    Holds for a number while its lock is held: whatever is live then is the call that asks.
    """
    wanted = list(phones)
    pasts = dict.fromkeys(wanted, NumberPast())
    if not wanted:
        return pasts
    since = {"dialed": now - WEEK, "queued": now - back - _QUEUED_BEFORE}
    rows = await session.execute(_PASTS, {"phones": wanted, **since})
    for phone, moments, spoken_at in rows.tuples():
        pasts[phone] = NumberPast(tuple(filter(None, moments or ())), spoken_at)
    return pasts


def _pasts() -> Select[str, Sequence[datetime | None], datetime | None]:
    dialed = func.array_agg(aggregate_order_by(Attempt.intent_at, Attempt.intent_at)).filter(
        COUNTS, Attempt.intent_at > bindparam("dialed")
    )
    return (
        select(Attempt.phone, dialed, func.max(Attempt.ended_at).filter(IS_CONVERSATION))
        .where(
            Attempt.phone == any_(bindparam("phones", type_=ARRAY(Text))),
            Attempt.queued_at > bindparam("queued"),
            Attempt.state == AttemptState.ENDED,
            or_(COUNTS, IS_CONVERSATION),
        )
        .group_by(Attempt.phone)
    )


_PASTS = _pasts()
