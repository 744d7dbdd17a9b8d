"""A call goes on at another pod, with its next stream (PROTOCOL.md 9)."""

from typing import Literal
from uuid import UUID

import structlog

from outdial.domain.attempt_state import AttemptState, Plan
from outdial.observability.metrics import MOVED
from outdial.operations.runtime import Runtime
from outdial.operations.wanted_pods import wanted_pods
from outdial.routing.slot_reservation import Slot, reserve
from outdial.storage import attempts, plan_changes
from outdial.storage.tables import Attempt

Why = Literal["handed_over", "silent_pod"]

_log = structlog.get_logger(__name__)


async def move_call(
    runtime: Runtime, attempt_id: UUID, stream_no: int, lost: tuple[str, str], why: Why
) -> Slot | None:
    """Commit that stream `stream_no` is over and the next one is another pod's; that pod's slot.

    `lost` is the pod (id, boot id) that the call leaves. None when the call is not to be moved:
    no other pod has room, it is not in a conversation, or somebody moved it first. The slot comes
    before the stream number, so that nobody who sees the new number is sent to the old pod.

    A pod knows that it holds the stream that it hands over. Whoever moves calls of a silent pod
    read so from the database, a while ago: a call that was on hold and has been answered since by
    another pod, under the same stream number, talks there and is left alone.
    """
    stands_on = lost if why == "silent_pod" else None
    async with runtime.sessions() as session:
        before = await attempts.get(session, attempt_id)
        if before is None or not _may_move(before, stream_no, stands_on):
            return None
        wanted = await wanted_pods(session, before.template_id)
    settings = runtime.settings
    lease = settings.live_slot_lease_seconds + settings.pod_out_after_seconds
    slot = await reserve(runtime.redis, attempt_id, lease, avoid=lost, wanted=wanted)
    if not isinstance(slot, Slot):
        MOVED.labels(why, "no_room").inc()
        return None
    async with runtime.sessions.begin() as session:
        attempt = await attempts.lock(session, attempt_id)
        if not _may_move(attempt, stream_no, stands_on):
            return None
        await attempts.next_stream(session, attempt_id, stream_no)
        await plan_changes.announce(session, attempt_id)
    MOVED.labels(why, "resumed").inc()
    _log.info("call_moved", attempt_id=str(attempt_id), from_pod=lost[0], to_pod=slot.pod_id)
    return slot


def _may_move(attempt: Attempt | None, stream_no: int, stands_on: tuple[str, str] | None) -> bool:
    return (
        attempt is not None
        and attempt.stream_no == stream_no
        and stands_on in {None, (attempt.pod, attempt.boot_id)}
        and attempt.state != AttemptState.ENDED
        and attempt.stop_reason is None
        and attempt.plan == Plan.CONVERSATION
    )
