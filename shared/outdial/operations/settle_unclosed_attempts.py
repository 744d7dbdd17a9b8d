"""Sweep: calls that are over, whose pod has not had its last word (PROTOCOL.md 5).

The pod has its closing pass to finish. When the time for it is up, or the pod is gone, the attempt
ends without.
"""

from collections.abc import Sequence

from outdial.domain.attempt_state import AttemptState
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import settle_attempt
from outdial.operations.zombie_calls import OVER
from outdial.routing.pod_registry import PodView, list_pods
from outdial.storage import lost_work
from outdial.storage.tables import Attempt


async def settle_unclosed_attempts(runtime: Runtime) -> int:
    """How many were ended without their pod's word."""
    async with runtime.sessions() as session:
        unclosed = await lost_work.unclosed_attempts(session, sorted(OVER))
    if not unclosed:
        return 0
    pods = await _pods(runtime)
    ended = 0
    for attempt in unclosed:
        settled = await settle_attempt(runtime, attempt.id, pod_is_out=is_out(attempt, pods))
        ended += settled is not None and settled.state is AttemptState.ENDED
    return ended


def is_out(attempt: Attempt, pods: Sequence[PodView]) -> bool:
    """Whether the pod that spoke is silent, or lives another life.

    One that is not listed at all may only have been forgotten with everything else in Redis.
    """
    return any(
        pod.pod_id == attempt.pod and (pod.is_out or pod.boot_id != attempt.boot_id) for pod in pods
    )


async def _pods(runtime: Runtime) -> Sequence[PodView]:
    try:
        return await list_pods(runtime.redis)
    except STORE_ERRORS:
        return ()  # nobody can be said to be out; time will tell
