"""Calls that should not be: one that names an ended attempt, another one than the attempt's own.

Such a call is ended at the carrier whenever it is heard of (PROTOCOL.md 3).
"""

from uuid import UUID

import structlog

from outdial.domain.attempt_state import AttemptState, EndReason
from outdial.operations.runtime import Runtime
from outdial.storage.answered_calls import AnsweredCall
from outdial.storage.tables import Attempt
from outdial.telephony.dial_result import NotUpdated

_log = structlog.get_logger(__name__)

OVER: frozenset[str] = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
"""Call statuses after which there is nothing to end."""


def is_zombie(attempt: Attempt | AnsweredCall | None, call_sid: str, call_status: str) -> bool:
    """Whether a request tells of a call that goes on and should not.

    A queued attempt was never dialed, so no call is its own. An attempt that the carrier itself
    reported as over may still be told of by callbacks that come late: that call is not going on.
    """
    if not call_sid or call_status in OVER:
        return False
    if attempt is None:
        return True
    if attempt.call_sid is not None and attempt.call_sid != call_sid:
        return True
    if attempt.state == AttemptState.QUEUED and attempt.direction == "outbound":
        return True
    return attempt.state == AttemptState.ENDED and not (
        attempt.end_reason == EndReason.CARRIER and attempt.call_sid == call_sid
    )


async def end_zombie(runtime: Runtime, attempt_id: UUID, call_sid: str) -> None:
    """End such a call at the carrier; if that fails, its next callback brings us here again."""
    result = await runtime.carrier.end_call(call_sid)
    _log.warning("zombie_call", attempt_id=str(attempt_id), call_sid=call_sid, result=str(result))
    if isinstance(result, NotUpdated):
        _log.error("zombie_call_not_ended", call_sid=call_sid, reason=result.reason)
