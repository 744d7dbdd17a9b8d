"""End one call because an operator says so."""

import uuid

from outdial.domain.attempt_state import AttemptState, StopReason
from outdial.domain.errors import Conflict, NotFound
from outdial.operations.runtime import Runtime
from outdial.operations.stop_attempts import act_on, stop_attempts
from outdial.storage import attempts


async def hang_up_call(runtime: Runtime, attempt_id: uuid.UUID) -> None:
    """End a live call, or keep a queued one from being dialed.

    Raises:
        NotFound: there is no such attempt.
        Conflict: it has ended.

    """
    async with runtime.sessions.begin() as session:
        attempt = await attempts.lock(session, attempt_id)
        if attempt is None:
            raise NotFound(f"There is no call {attempt_id}.")
        if attempt.state == AttemptState.ENDED:
            raise Conflict("This call has ended.")
        stopped = await stop_attempts(session, [attempt], StopReason.CANCELED)
    await act_on(runtime, stopped)
