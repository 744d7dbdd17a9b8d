"""Redis was emptied: write the slots of live attempts again, from Postgres (PROTOCOL.md 7).

Until somebody has, no slot can be reserved. It costs one EXISTS while nothing is wrong.
"""

from outdial.domain.attempt_state import AttemptState
from outdial.operations.runtime import Runtime
from outdial.routing.slot_reservation import Held, is_ready, rebuild
from outdial.settings import Settings
from outdial.storage import attempts
from outdial.storage.tables import Attempt


async def rebuild_reservations(runtime: Runtime) -> bool:
    """Rebuild if need be; True if this call did it."""
    if await is_ready(runtime.redis):
        return False
    async with runtime.sessions() as session:
        live = await attempts.live(session)
    return await rebuild(
        runtime.redis,
        [
            Held(row.id, row.pod, row.boot_id, _lease(runtime.settings, row))
            for row in live
            if row.pod and row.boot_id
        ],
    )


def _lease(settings: Settings, attempt: Attempt) -> float:
    """As long as whoever holds it needs: dialer, ringing phone, or the pod until its next beat."""
    match attempt.state:
        case AttemptState.QUEUED:
            return settings.claim_lease_seconds
        case AttemptState.IN_PROGRESS:
            return settings.live_slot_lease_seconds
        case _:
            return settings.reserved_slot_lease_seconds
