"""Look for everything that may have been lost, and mend it. One sweeper at a time.

Each sweep is idempotent and stands in a file of its own; one that fails does not keep the others
from running.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from outdial.observability.metrics import MENDED, SWEEP_FAILURES
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.ask_silent_attempts import ask_silent_attempts
from outdial.operations.end_stopped_calls import end_stopped_calls
from outdial.operations.finish_canceled_leads import finish_canceled_leads
from outdial.operations.finish_expired_leads import finish_expired_leads
from outdial.operations.forget_old_requests import forget_old_requests
from outdial.operations.mark_unknown_attempts import mark_unknown_attempts
from outdial.operations.mend_lead_pointers import mend_lead_pointers
from outdial.operations.move_calls_of_silent_pods import move_calls_of_silent_pods
from outdial.operations.rebuild_reservations import rebuild_reservations
from outdial.operations.reconcile_unknown_attempts import reconcile_unknown_attempts
from outdial.operations.release_expired_claims import release_expired_claims
from outdial.operations.release_leaked_slots import release_leaked_slots
from outdial.operations.republish_hints import republish_hints
from outdial.operations.review_caller_numbers import review_caller_numbers
from outdial.operations.runtime import Runtime
from outdial.operations.settle_unclosed_attempts import settle_unclosed_attempts
from outdial.operations.settle_unsettled import settle_unsettled
from outdial.operations.speak_unbegun_messages import speak_unbegun_messages
from outdial.operations.store_outages import store_failed
from outdial.storage import locks

_log = structlog.get_logger(__name__)

Sweep = Callable[[Runtime], Awaitable[int]]

OF_PODS: tuple[Sweep, ...] = (move_calls_of_silent_pods, speak_unbegun_messages)
"""Somebody listens to nothing meanwhile: these wait for no other."""

OF_STORES: tuple[Sweep, ...] = (
    rebuild_reservations,
    settle_unsettled,
    mend_lead_pointers,
    finish_canceled_leads,
    finish_expired_leads,
    release_expired_claims,
    mark_unknown_attempts,
    republish_hints,
    release_leaked_slots,
    forget_old_requests,
    review_caller_numbers,
)
"""These take milliseconds."""

OF_CONVERSATIONS: tuple[Sweep, ...] = (settle_unclosed_attempts,)
"""A model may be asked about each."""

OF_CARRIER: tuple[Sweep, ...] = (
    end_stopped_calls,
    reconcile_unknown_attempts,
    ask_silent_attempts,
)
"""These ask the carrier, who may take his time: the others must not wait for them."""


GROUPS: dict[str, tuple[Sweep, ...]] = {
    "pods": OF_PODS,
    "stores": OF_STORES,
    "conversations": OF_CONVERSATIONS,
    "carrier": OF_CARRIER,
}
"""A group that takes long keeps no other waiting: the next tick skips it and runs the rest."""


async def run_sweeps(runtime: Runtime) -> dict[str, int]:
    """Run them in turn; what was mended, by sweep."""
    mended: dict[str, int] = {}
    for name, sweeps in GROUPS.items():
        mended |= await _run_alone(runtime, name, sweeps)
    return mended


async def _run_alone(runtime: Runtime, name: str, sweeps: Sequence[Sweep]) -> dict[str, int]:
    """Nothing if somebody runs these already."""
    key = f"{runtime.settings.twilio_account_sid}:{name}"
    async with runtime.sessions.begin() as session:
        if not await locks.try_lock_sweep(session, key):
            return {}
        counts = {sweep.__name__: await _run(runtime, sweep) for sweep in sweeps}
    return {name: count for name, count in counts.items() if count}


async def _run(runtime: Runtime, sweep: Sweep) -> int:
    name = sweep.__name__
    try:
        count = int(await sweep(runtime))
    except STORE_ERRORS as error:  # the others go on
        SWEEP_FAILURES.labels(name).inc()
        store_failed(runtime, error)
        return 0
    except Exception as error:  # noqa: BLE001 - a bug: the others go on
        SWEEP_FAILURES.labels(name).inc()
        _log.warning("sweep_failed", sweep=name, error=f"{type(error).__name__}: {error}"[:300])
        return 0
    if count:
        MENDED.labels(name).inc(count)
        _log.info("mended", sweep=name, count=count)
    return count
