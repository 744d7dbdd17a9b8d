"""What the carrier tells of a call that goes as it should, written in one statement.

Three callbacks a call come this way, and nothing else is asked of Postgres for them. Whatever is
unusual is left to the rules (`operations/record_callback.py`).
"""

import json
import uuid
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_events import Event

STEPS = frozenset({"initiated", "ringing"})
"""What an attempt that is not further is told in passing."""


@dataclass(frozen=True)
class ToldOfCall:
    """What became of a fact: for whom, whether it is new, and whether its call rings since then."""

    lead_id: uuid.UUID | None
    is_new: bool
    is_step: bool  # `initiated` or `ringing`, of an attempt that was not further
    rings: bool


# FOR UPDATE waits for who writes the row, and looks at what he left. Only the attempt's own call is
# ordinary, or one that shows itself for the first time; nobody stopped it, and it is not over.
_TELL = text("""
    WITH locked AS (
        SELECT id, lead_id, state IN ('dialing', 'initiated') AND :step <> '' AS is_step
        FROM attempts
        WHERE id = :attempt AND state NOT IN ('queued', 'ended') AND stop_reason IS NULL
            AND (
                call_sid = :sid
                OR call_sid IS NULL AND intent_at IS NOT NULL AND direction = 'outbound'
            )
        FOR UPDATE
    ), written AS (
        INSERT INTO call_events
            (attempt_id, source, kind, dedupe_key, call_sid, payload, occurred_at)
        SELECT id, :source, :kind, :key, :sid, CAST(:payload AS jsonb), :at FROM locked
        ON CONFLICT DO NOTHING
        RETURNING id, attempt_id
    ), to_settle AS (
        INSERT INTO unsettled (event_id, attempt_id)
        SELECT written.id, written.attempt_id FROM written, locked
        WHERE NOT (locked.is_step AND :step = 'ringing')
    )
    UPDATE attempts SET
        heard_at = clock_timestamp(),
        call_sid = :sid,
        state = CASE WHEN is_step AND :step = 'ringing' THEN 'ringing' ELSE attempts.state END,
        ringing_at = CASE WHEN is_step AND :step = 'ringing' THEN :at ELSE ringing_at END
    FROM locked WHERE attempts.id = locked.id
    RETURNING attempts.lead_id, is_step, EXISTS (SELECT 1 FROM written) AS is_new
""")


async def tell(
    session: AsyncSession, attempt_id: uuid.UUID, event: Event, step: str = ""
) -> ToldOfCall | None:
    """Write a fact that names its call; None, and nothing is written, if it is unusual.

    `step`: `initiated` or `ringing`, if that is what it says. The session must be new: it commits
    by itself.
    """
    await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
    try:
        row = (
            await session.execute(
                _TELL,
                {
                    "attempt": attempt_id,
                    "sid": event.call_sid,
                    "step": step,
                    "source": event.source.value,
                    "kind": event.kind,
                    "key": event.dedupe_key,
                    "payload": json.dumps(dict(event.payload)),
                    "at": event.occurred_at,
                },
            )
        ).one_or_none()
    except IntegrityError:  # the call is another attempt's
        return None
    if row is None:
        return None
    return ToldOfCall(row.lead_id, row.is_new, row.is_step, row.is_step and step == "ringing")
