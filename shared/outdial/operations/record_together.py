"""Write facts about many calls in one transaction (group commit)."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from outdial.domain.call_events import QUIET, Event
from outdial.domain.errors import NotFound
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.record_callback import record_event
from outdial.operations.runtime import Runtime
from outdial.storage import call_events

_log = structlog.get_logger(__name__)

Fact = tuple[UUID, Event]


async def record_together(runtime: Runtime, facts: Sequence[Fact]) -> None:
    """Store facts that nobody is told of: they are read with the next one, or by the sweep.

    What is unusual about one of them (its call is over, not bound yet, or just being written) is
    left to `record_event`, which has the rules. Repeating all of it changes nothing.
    """
    for attempt_id, event in await _write_ordinary(runtime, facts):
        try:
            await record_event(runtime, attempt_id, event, in_time=False)
        except STORE_ERRORS:
            raise
        except (NotFound, SQLAlchemyError) as error:
            _log.error(
                "event_not_stored", attempt_id=str(attempt_id), kind=event.kind, error=str(error)
            )


async def _write_ordinary(runtime: Runtime, facts: Sequence[Fact]) -> Sequence[Fact]:
    """Write what one statement can; what is left. One that cannot be stored spoils no others."""
    rows = [(attempt_id, event, _is_loud(event)) for attempt_id, event in facts]
    try:
        async with runtime.sessions.begin() as session:
            written = await call_events.append_all(session, rows)
    except STORE_ERRORS:
        raise
    except SQLAlchemyError as error:
        _log.error("events_not_stored_together", count=len(rows), error=type(error).__name__)
        return facts
    return [fact for fact in facts if fact[0] not in written]


def _is_loud(event: Event) -> bool:
    return (event.source, event.kind) not in QUIET
