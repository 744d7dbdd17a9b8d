"""Look for everything that may have been lost, and mend it. One sweeper at a time.

Each sweep is idempotent and stands in a file of its own; one that fails does not keep the others
from running. Those that ask the carrier come last: they may be slow.
"""

from collections.abc import Awaitable, Callable

import structlog

from outdial.observability.metrics import MENDED, SWEEP_FAILURES
from outdial.operations.ask_silent_attempts import ask_silent_attempts
from outdial.operations.end_stopped_calls import end_stopped_calls
from outdial.operations.finish_canceled_leads import finish_canceled_leads
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
from outdial.storage import locks

_log = structlog.get_logger(__name__)

Sweep = Callable[[Runtime], Awaitable[int]]

SWEEPS: tuple[Sweep, ...] = (
    rebuild_reservations,
    move_calls_of_silent_pods,  # somebody listens to nothing meanwhile
    settle_unsettled,
    settle_unclosed_attempts,
    mend_lead_pointers,
    finish_canceled_leads,
    release_expired_claims,
    mark_unknown_attempts,
    republish_hints,
    release_leaked_slots,
    forget_old_requests,
    end_stopped_calls,
    review_caller_numbers,
    reconcile_unknown_attempts,
    ask_silent_attempts,
)


async def run_sweeps(runtime: Runtime) -> dict[str, int]:
    """Run them in turn; what was mended, by sweep. Nothing if somebody sweeps already."""
    async with runtime.sessions.begin() as session:
        if not await locks.try_lock_sweep(session, runtime.settings.twilio_account_sid):
            return {}
        counts = {sweep.__name__: await _run(runtime, sweep) for sweep in SWEEPS}
    return {name: count for name, count in counts.items() if count}


async def _run(runtime: Runtime, sweep: Sweep) -> int:
    name = sweep.__name__
    try:
        count = int(await sweep(runtime))
    except Exception as error:  # noqa: BLE001 - a store that is away, or a bug: the others go on
        SWEEP_FAILURES.labels(name).inc()
        _log.warning("sweep_failed", sweep=name, error=f"{type(error).__name__}: {error}"[:300])
        return 0
    if count:
        MENDED.labels(name).inc(count)
        _log.info("mended", sweep=name, count=count)
    return count
