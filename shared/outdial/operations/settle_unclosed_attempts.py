"""Sweep: calls that are over, whose pod has not had its last word (PROTOCOL.md 5).

The pod has its closing pass to finish. When the time for it is up, the pod is gone, or no pod had
the call when it ended, the attempt ends without.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from outdial.domain.attempt_state import Plan
from outdial.domain.call_events import Event, Source
from outdial.domain.fold_conversation import stream_no
from outdial.domain.fold_events import fold
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.hear_last_words import hear_last_words
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import settle_attempt
from outdial.operations.zombie_calls import OVER
from outdial.routing.pod_registry import PodView, list_pods
from outdial.storage import call_events, lost_work
from outdial.storage.tables import Attempt

AT_ONCE = 16
"""Each may have a model listen to it, for some seconds."""

_TAKEN = frozenset({(Source.GATEWAY, "answered"), (Source.POD, "stream_started")})


async def settle_unclosed_attempts(runtime: Runtime) -> int:
    """How many were ended without their pod's word."""
    async with runtime.sessions() as session:
        unclosed = await lost_work.unclosed_attempts(session, sorted(OVER), limit=AT_ONCE)
    if not unclosed:
        return 0
    pods = await _pods(runtime)
    return sum(await asyncio.gather(*(_settle(runtime, attempt, pods) for attempt in unclosed)))


async def _settle(runtime: Runtime, attempt: Attempt, pods: Sequence[PodView]) -> bool:
    """End it, if it must be; what the person said last is heard before its lead can be called."""
    async with runtime.sessions() as session:
        rows = await call_events.of_attempt(session, attempt.id)
        now = await lost_work.database_now(session)
    events = [call_events.as_event(row) for row in rows]
    without_pod = (
        is_out(attempt, pods)
        or nobody_had_it(attempt, events)
        or _is_overdue(runtime, attempt, events, now)
    )
    if without_pod:
        await hear_last_words(runtime, attempt.id)
    settled = await settle_attempt(runtime, attempt.id, without_pod=without_pod)
    return settled is not None and settled.just_ended


def _is_overdue(runtime: Runtime, attempt: Attempt, events: Sequence[Event], now: datetime) -> bool:
    """Whether the call has been over for longer than a pod's closing pass may take."""
    patience = timedelta(seconds=runtime.settings.settle_anyway_seconds)
    folded = fold(events, attempt.call_sid)
    return folded.ended_at is not None and now - folded.ended_at >= patience


def is_out(attempt: Attempt, pods: Sequence[PodView]) -> bool:
    """Whether the pod that spoke is silent, or lives another life.

    One that is not listed at all may only have been forgotten with everything else in Redis.
    """
    return any(
        pod.pod_id == attempt.pod and (pod.is_out or pod.boot_id != attempt.boot_id) for pod in pods
    )


def nobody_had_it(attempt: Attempt, events: Sequence[Event]) -> bool:
    """Whether no pod had the call: none was told to take its stream, or the carrier had a message.

    Which pod takes a call is written after the answer; that it was answered may be known sooner.
    """
    taken = any(
        (event.source, event.kind) in _TAKEN and stream_no(event) == attempt.stream_no
        for event in events
    )
    return attempt.pod is None and (attempt.plan == Plan.VOICEMAIL or not taken)


async def _pods(runtime: Runtime) -> Sequence[PodView]:
    try:
        return await list_pods(runtime.redis)
    except STORE_ERRORS:
        return ()  # nobody can be said to be out; time will tell
