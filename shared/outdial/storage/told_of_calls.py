"""What the carrier tells of a call that goes as it should, written in one statement.

The answer to our POST and three callbacks a call come this way, and nothing else is asked of
Postgres for them. Whatever is unusual is left to the rules (`operations/record_callback.py`).
"""

import json
import uuid
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState
from outdial.domain.call_events import Event

Step = Literal["", "accepted", "initiated", "ringing"]
"""How far a fact says that a call has come: what it means for the row is known without settling."""


@dataclass(frozen=True)
class ToldOfCall:
    """What became of a fact: for whom it is, and what it has made of the attempt."""

    lead_id: uuid.UUID | None
    state: AttemptState
    is_new: bool
    is_step: bool  # the next, as it should be: all of it is written, and nothing is left to settle


# FOR UPDATE waits for who writes the row, and looks at what he left. Only the attempt's own call is
# ordinary, or one that shows itself for the first time; nobody stopped it, and it is not over.
_TELL = text("""
    WITH locked AS (
        SELECT id, CASE :step
            WHEN '' THEN false
            WHEN 'accepted' THEN state <> 'unknown'
            ELSE state IN ('dialing', 'initiated')
        END AS is_step
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
        WHERE NOT locked.is_step
    )
    UPDATE attempts SET
        heard_at = clock_timestamp(),
        call_sid = :sid,
        state = CASE
            WHEN is_step AND :step = 'ringing' THEN 'ringing'
            WHEN is_step AND state = 'dialing' THEN 'initiated'
            ELSE state
        END,
        initiated_at = CASE
            WHEN is_step AND :step = 'initiated' THEN coalesce(initiated_at, :at)
            ELSE initiated_at
        END,
        ringing_at = CASE WHEN is_step AND :step = 'ringing' THEN :at ELSE ringing_at END
    FROM locked WHERE attempts.id = locked.id
    RETURNING lead_id, state, is_step, EXISTS (SELECT 1 FROM written) AS is_new
""")


async def tell(
    session: AsyncSession, attempt_id: uuid.UUID, event: Event, step: Step = ""
) -> ToldOfCall | None:
    """Write a fact that names its call; None, and nothing is written, if it is unusual.

    It is one statement, committed by itself: in a transaction, a call that is another attempt's
    would fail all of it.
    """
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
    return ToldOfCall(row.lead_id, AttemptState(row.state), row.is_new, row.is_step)
