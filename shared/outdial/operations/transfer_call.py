"""A human takes the call over: committed before the pod leaves, so that `action` finds it.

One of several ends of a conversation; compare-and-set on the attempt's plan makes it the only one.
Whoever answers `action` dials the human (`<Dial>`) and writes whether they met.
"""

from uuid import UUID

from outdial.domain.attempt_state import Plan
from outdial.domain.call_events import Source
from outdial.operations.runtime import Runtime
from outdial.storage import attempts, call_events


async def transfer_call(runtime: Runtime, attempt_id: UUID) -> bool:
    """Commit that the call goes to a human; False if something else was decided before.

    A human is dialed once a call: who did not come a minute ago is not asked again.
    """
    async with runtime.sessions.begin() as session:
        events = await call_events.of_attempt(session, attempt_id)
        if any(event.source == Source.TRANSFER for event in events):
            return False
        return await attempts.change_plan(session, attempt_id, Plan.CONVERSATION, Plan.TRANSFER)
