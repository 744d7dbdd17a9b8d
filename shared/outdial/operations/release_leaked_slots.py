"""Give back slots that no live attempt holds (PROTOCOL.md 6): whoever should have, died."""

import time

from outdial.operations.runtime import Runtime
from outdial.routing.slot_reservation import all_holders, release
from outdial.storage import attempts


async def release_leaked_slots(runtime: Runtime) -> int:
    """How many were given back.

    One that is younger than a claim lease is left alone: its attempt is about to be written.
    """
    before = time.time() - runtime.settings.claim_lease_seconds
    held = await all_holders(runtime.redis)
    old = [attempt_id for attempt_id, since in held.items() if since < before]
    if not old:
        return 0
    async with runtime.sessions() as session:
        live = {attempt.id for attempt in await attempts.live(session)}
    leaked = [attempt_id for attempt_id in old if attempt_id not in live]
    for attempt_id in leaked:
        await release(runtime.redis, attempt_id)
    return len(leaked)
