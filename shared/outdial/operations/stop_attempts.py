"""End live attempts ourselves: because an operator says so, or the person does.

The decision is committed before anything is done about the call (PROTOCOL.md 4 and 9): an attempt
that is queued can no longer be dialed, one whose call is known is ended by REST after the commit,
and one whose call is not known yet is ended by whoever learns its SID.
"""

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState, StopReason
from outdial.domain.call_events import Event, Source
from outdial.operations.runtime import Runtime
from outdial.storage import attempts, call_events, plan_changes
from outdial.storage.tables import Attempt
from outdial.telephony.dial_result import NotUpdated

_log = structlog.get_logger(__name__)


@dataclass
class Stopped:
    """What is left to do once the decision is committed."""

    to_settle: list[uuid.UUID] = field(default_factory=list)
    calls_to_end: list[str] = field(default_factory=list)  # CallSids

    @property
    def count(self) -> int:
        """How many attempts are ended, or will be."""
        return len(self.to_settle) + len(self.calls_to_end)


async def stop_attempts(
    session: AsyncSession, locked: Iterable[Attempt], reason: StopReason
) -> Stopped:
    """Decide in this transaction that these live attempts, whose rows it has locked, end now."""
    stopped = Stopped()
    for attempt in locked:
        if not await attempts.cut(session, attempt.id, reason):
            continue
        await plan_changes.announce(session, attempt.id)
        if attempt.state == AttemptState.QUEUED:
            await call_events.append(session, attempt.id, _stopped(reason))
            stopped.to_settle.append(attempt.id)
        elif attempt.call_sid is not None:
            stopped.calls_to_end.append(attempt.call_sid)
    return stopped


async def act_on(runtime: Runtime, stopped: Stopped) -> None:
    """After the commit: have ended attempts settled and calls hung up.

    A call that cannot be ended now is ended by the sweep that looks for them.
    """
    for attempt_id in stopped.to_settle:
        runtime.hints.settle(attempt_id)
    results = await asyncio.gather(*map(runtime.carrier.end_call, stopped.calls_to_end))
    for sid, result in zip(stopped.calls_to_end, results, strict=True):
        if isinstance(result, NotUpdated):
            _log.warning("call_not_ended", call_sid=sid, reason=result.reason)


def _stopped(reason: StopReason) -> Event:
    return Event(Source.OPERATOR, "stopped", "stopped", datetime.now(UTC), None, {"reason": reason})
