"""The one function that ends attempts (PROTOCOL.md 5).

It locks number, lead and attempt, folds every event, and writes in one transaction what the attempt
is and what its lead does next. It may run at any time, twice, or at once with itself: the same
events give the same rows. What has to be done outside the database is done after the commit.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState, StopReason
from outdial.domain.call_events import Event, Source
from outdial.domain.fold_events import fold
from outdial.observability import traces
from outdial.observability.metrics import ENDED
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.decide_lead import decide_lead
from outdial.operations.each_attempt import each_attempt
from outdial.operations.fold_into_attempt import ends_now, write_folded
from outdial.operations.runtime import Runtime
from outdial.operations.stop_attempts import Stopped, act_on, stop_attempts
from outdial.operations.store_outages import store_failed
from outdial.operations.trace_attempt import span_of_attempt
from outdial.operations.zombie_calls import OVER, is_zombie
from outdial.queueing.task_names import DISPATCH_EVERY_SECONDS
from outdial.routing.slot_reservation import extend, release
from outdial.storage import attempts, call_events, settling_locks, suppressions
from outdial.storage.call_events import Told
from outdial.storage.tables import Attempt, Lead
from outdial.telephony.dial_result import NotUpdated

_log = structlog.get_logger(__name__)

_TICK = timedelta(seconds=DISPATCH_EVERY_SECONDS)
_RINGS = frozenset({AttemptState.INITIATED, AttemptState.RINGING})


@dataclass
class Settlement:
    """What a settling wrote, and what is left to do once it is committed."""

    attempt_id: uuid.UUID
    lead_id: uuid.UUID | None
    state: AttemptState
    outcome: str | None = None
    just_ended: bool = False
    lead_due_at: datetime | None = None
    is_due_now: bool = False  # before the next tick
    began_to_ring: bool = False
    calls_to_end: dict[str, list[int]] = field(default_factory=dict)  # CallSid: unread events
    stopped: Stopped = field(default_factory=Stopped)
    span: traces.Span = traces.NOTHING  # of the whole attempt, sent once it is committed


@dataclass(frozen=True)
class Locked:
    """An attempt and its lead, whose rows and number are locked."""

    attempt: Attempt
    lead: Lead | None


Append = Callable[[AsyncSession, Locked], Awaitable[Event | None]]
"""Decides, with everything locked, on a fact to add before settling; None leaves things as is."""


@traces.traced("settle_attempt")
async def settle_attempt(
    runtime: Runtime,
    attempt_id: uuid.UUID,
    *,
    append: Append | None = None,
    without_pod: bool = False,
    if_told: bool = False,
) -> Settlement | None:
    """Settle an attempt; None if there is no such attempt, or `append` found nothing to do.

    `without_pod`: nobody waits for the pod's last word any more. `if_told`: nothing, and no lock,
    if everything that was told of it has been read.
    """
    async with runtime.sessions.begin() as session:
        locked = await lock_for_settling(session, attempt_id, if_told=if_told)
        if locked is None:
            return None
        if append is not None:
            event = await append(session, locked)
            if event is None:
                return None
            await call_events.append(session, attempt_id, event)
        settlement = await settle_locked(session, locked, without_pod=without_pod)
    await after_settling(runtime, settlement)
    return settlement


async def settle_if_told(runtime: Runtime, attempt_id: uuid.UUID) -> Settlement | None:
    """`settle_attempt` for a hint: another hint may have had everything read."""
    return await settle_attempt(runtime, attempt_id, if_told=True)


async def settle_those_told(runtime: Runtime, attempt_ids: Sequence[uuid.UUID]) -> None:
    """The same for several, each in a transaction of its own. A sweep comes for what failed."""
    await each_attempt(runtime, attempt_ids, settle_if_told, "attempt_not_settled")


async def lock_for_settling(
    session: AsyncSession, attempt_id: uuid.UUID, *, if_told: bool = False
) -> Locked | None:
    """Lock number, lead and attempt, in the order that everybody keeps.

    None without such an attempt, or, with `if_told`, if it has no event that nobody has read.
    """
    found = await settling_locks.lock_for_settling(session, attempt_id, if_told=if_told)
    if found is None:
        return None
    attempt, lead = found
    traces.about_attempt(attempt_id, attempt.lead_id)
    return Locked(attempt, lead)


async def settle_locked(
    session: AsyncSession, locked: Locked, *, without_pod: bool = False
) -> Settlement:
    """The same within a transaction that holds the locks; `after_settling` must follow it."""
    attempt = locked.attempt
    await session.flush()
    told, now = await call_events.read(session, attempt.id)
    unread = [one for one in told if one.unread]
    folded = fold((one.event for one in told), attempt.call_sid)
    before = AttemptState(attempt.state)

    ends = ends_now(folded, without_pod=without_pod)
    changed = write_folded(attempt, folded, now, ends=ends)
    state = AttemptState(attempt.state)
    settlement = Settlement(attempt.id, attempt.lead_id, state, attempt.outcome)
    settlement.just_ended = AttemptState.ENDED is settlement.state is not before
    if settlement.just_ended:
        settlement.span = span_of_attempt(attempt)
    if locked.lead is not None and _must_decide(locked.lead, attempt, changed):
        attempt.lead_version = locked.lead.version + 1  # what the decision makes it
        await session.flush()
        due_at = await decide_lead(session, locked.lead, attempt, folded.facts, now)
        settlement.lead_due_at = due_at
        settlement.is_due_now = due_at is not None and due_at - now < _TICK
    await session.flush()
    settlement.began_to_ring = settlement.state in _RINGS and settlement.state is not before
    settlement.stopped = await _heed_opt_out(session, attempt, unread)
    settlement.calls_to_end = _calls_to_end(attempt, unread)
    waiting = {number for numbers in settlement.calls_to_end.values() for number in numbers}
    await call_events.mark_settled(session, {one.number for one in unread} - waiting)
    return settlement


async def after_settling(runtime: Runtime, settlement: Settlement) -> None:
    """What the transaction decided, done; a crash here is mended by sweeps."""
    traces.note(state=str(settlement.state), outcome=settlement.outcome)
    settlement.span.end()
    if settlement.just_ended:
        ENDED.labels(settlement.outcome or "").inc()
        _log.info(
            "attempt_ended",
            attempt_id=str(settlement.attempt_id),
            lead_id=str(settlement.lead_id) if settlement.lead_id else None,
            outcome=settlement.outcome,
            lead_due_at=settlement.lead_due_at.isoformat() if settlement.lead_due_at else None,
        )
    await _tend_slot(runtime, settlement)
    await act_on(runtime, settlement.stopped)
    for call_sid, numbers in settlement.calls_to_end.items():
        await _end_call(runtime, settlement.attempt_id, call_sid, numbers)
    if settlement.just_ended and settlement.is_due_now:
        runtime.hints.dispatch()


def _must_decide(lead: Lead, attempt: Attempt, changed: bool) -> bool:
    """The lead waits for this attempt, or a late fact changes a decision that stands untouched."""
    if attempt.state != AttemptState.ENDED:
        return False
    if lead.live_attempt_id == attempt.id:
        return True
    return changed and lead.version == attempt.lead_version


async def _heed_opt_out(session: AsyncSession, attempt: Attempt, unread: list[Told]) -> Stopped:
    """An opt-out always acts, even if the pod that heard it died before it could say so."""
    said = any(
        (one.event.source, one.event.kind) == (Source.POD, "tool_called")
        and one.event.payload.get("name") == "opt_out"
        for one in unread
    )
    if not said:
        return Stopped()
    await suppressions.add(session, attempt.phone, "asked for in a call", "call", attempt.id)
    live = await attempts.lock_live_of_number(session, attempt.phone)
    others = [other for other in live if other.id != attempt.id]
    return await stop_attempts(session, others, StopReason.OPTED_OUT)


def _calls_to_end(attempt: Attempt, unread: list[Told]) -> dict[str, list[int]]:
    """Calls that go on and should not, with the unread events that tell of them."""
    found: dict[str, list[int]] = {}
    for one in unread:
        call_sid, payload = one.event.call_sid, one.event.payload
        if call_sid is None:
            continue
        status = str(payload.get("CallStatus") or payload.get("status") or "")
        if is_zombie(attempt, call_sid, status):
            found.setdefault(call_sid, []).append(one.number)
    stopped = attempt.stop_reason is not None and attempt.state != AttemptState.ENDED
    if stopped and attempt.call_sid and attempt.facts.get("carrier_status") not in OVER:
        found.setdefault(attempt.call_sid, [])
    return found


async def _end_call(
    runtime: Runtime, attempt_id: uuid.UUID, call_sid: str, numbers: list[int]
) -> None:
    """End a call at the carrier. Its events count as read only then: a sweep tries again."""
    result = await runtime.carrier.end_call(call_sid)
    if isinstance(result, NotUpdated):
        _log.warning("call_not_ended", attempt_id=str(attempt_id), call_sid=call_sid)
        return
    async with runtime.sessions.begin() as session:
        await call_events.mark_settled(session, numbers)


async def _tend_slot(runtime: Runtime, settlement: Settlement) -> None:
    """The one place that releases slots. Redis away: the lease runs out by itself."""
    if settlement.began_to_ring:
        await keep_slot(runtime, settlement.attempt_id)
    if not settlement.just_ended:
        return
    try:
        await release(runtime.redis, settlement.attempt_id)
    except STORE_ERRORS as error:
        store_failed(runtime, error)


async def keep_slot(runtime: Runtime, attempt_id: uuid.UUID) -> None:
    """Let a reservation last for as long as a phone rings. Redis away: it stays as it is."""
    try:
        await extend(runtime.redis, attempt_id, runtime.settings.reserved_slot_lease_seconds)
    except STORE_ERRORS as error:
        store_failed(runtime, error)
