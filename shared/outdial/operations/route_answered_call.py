"""Somebody picked up: which pod talks to them (PROTOCOL.md 8).

Each store may delay the answer by its patience and no more; the URL and the gateway's last view of
the pods are enough to connect a call. Knowing a zombie or an opted-out attempt needs Postgres: when
it does not answer in time the call is connected, and the settler ends it.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import structlog

from outdial.domain.attempt_state import AttemptState, Plan
from outdial.domain.call_template import Pods
from outdial.domain.errors import NotFound
from outdial.operations.ask_in_time import STORE_ERRORS, Away, ask_in_time
from outdial.operations.connect_call import (
    connect,
    hold_or_goodbye,
    slot_for,
    slot_without_redis,
)
from outdial.operations.record_callback import record_event
from outdial.operations.runtime import Runtime
from outdial.operations.wanted_pods import wanted_pods, wanted_without_asking
from outdial.operations.zombie_calls import end_zombie, is_zombie
from outdial.routing.router import Router
from outdial.routing.slot_reservation import Slot
from outdial.storage import attempts
from outdial.storage.tables import Attempt
from outdial.telephony import twiml
from outdial.telephony.callback_events import answered_event, held_event
from outdial.telephony.callbacks import AnswerHint

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Answered:
    """The TwiML, and what is left to be written once it is on its way."""

    twiml: str
    attempt_id: UUID
    call_sid: str
    stream_no: int = 1
    slot: Slot | None = None
    degraded: bool = False  # a store did not answer in time
    zombie: bool = False
    as_prepared: bool = False  # to the pod that the attempt names already
    holds: int | None = None  # how often it was held before, if no pod had room


async def route_answered_call(
    runtime: Runtime, router: Router, attempt_id: UUID, call_sid: str, hint: AnswerHint
) -> Answered:
    """Decide from the database, the reservation, and without either from the URL."""
    patience = runtime.settings.store_patience_seconds
    read = await ask_in_time(patience, _read(runtime, attempt_id))
    if isinstance(read, Away):
        _log.warning("answered_without_database", attempt_id=str(attempt_id), reason=read.reason)
        wanted = wanted_without_asking(hint.template_id)
        slot, _ = await slot_for(runtime, router, attempt_id, hint, wanted)
        return _answer(runtime, attempt_id, call_sid, 1, hint, slot, degraded=True)
    found, wanted = read
    if found is None or not may_connect(found, call_sid):
        zombie = is_zombie(found, call_sid, "in-progress")
        return Answered(twiml.hangup(), attempt_id, call_sid, zombie=zombie)
    hint = replace(hint, template_id=found.template_id, lead_id=found.lead_id)
    slot, degraded = await slot_for(runtime, router, attempt_id, hint, wanted)
    answered = _answer(
        runtime, attempt_id, call_sid, found.stream_no, hint, slot, degraded=degraded
    )
    named = slot is not None and (found.pod, found.boot_id) == (slot.pod_id, slot.boot_id)
    return replace(answered, as_prepared=named)


def answer_without_stores(
    runtime: Runtime, router: Router, attempt_id: UUID, call_sid: str, hint: AnswerHint
) -> Answered:
    """The same from the URL and the last view alone: for the fallback, when something is broken."""
    slot = slot_without_redis(router, hint, wanted_without_asking(hint.template_id))
    return _answer(runtime, attempt_id, call_sid, 1, hint, slot, degraded=True)


async def after_answer(runtime: Runtime, answered: Answered) -> None:
    """Write what was answered: the event, and the pod that the call went to."""
    if answered.zombie:
        await end_zombie(runtime, answered.attempt_id, answered.call_sid)
        return
    now = datetime.now(UTC)
    sid, slot = answered.call_sid, answered.slot
    try:
        if slot is not None:
            event = answered_event(sid, slot.pod_id, answered.stream_no, answered.degraded, now)
            # The carrier's own callback says the same at the same moment, and wakes the settler.
            await record_event(runtime, answered.attempt_id, event, in_time=False)
            if not answered.as_prepared:
                await _assign(runtime, answered, slot)
        elif answered.holds is not None:
            event = held_event(sid, answered.holds, now)
            await record_event(runtime, answered.attempt_id, event)
    except (NotFound, *STORE_ERRORS) as error:
        _log.error("answer_not_written", attempt_id=str(answered.attempt_id), error=str(error))


async def _assign(runtime: Runtime, answered: Answered, slot: Slot) -> None:
    """Write the pod, unless the call has gone on to another stream since it was answered."""
    async with runtime.sessions.begin() as session:
        attempt = await attempts.lock(session, answered.attempt_id)
        if attempt is not None and attempt.stream_no == answered.stream_no:
            await attempts.assign_pod(session, attempt.id, slot.pod_id, slot.boot_id)


async def read_attempt(runtime: Runtime, attempt_id: UUID) -> Attempt | None:
    """The attempt as it stands."""
    async with runtime.sessions() as session:
        return await attempts.get(session, attempt_id)


async def _read(runtime: Runtime, attempt_id: UUID) -> tuple[Attempt | None, Pods]:
    async with runtime.sessions() as session:
        attempt = await attempts.get(session, attempt_id)
        wanted = await wanted_pods(session, attempt.template_id) if attempt else Pods()
    return attempt, wanted


def may_connect(attempt: Attempt, call_sid: str) -> bool:
    """Whether this call may be talked to: it is the attempt's own, and nobody has stopped it."""
    return (
        not is_zombie(attempt, call_sid, "in-progress")
        and attempt.state != AttemptState.ENDED
        and attempt.stop_reason is None
        and attempt.plan != Plan.HANGUP
    )


def _answer(
    runtime: Runtime,
    attempt_id: UUID,
    call_sid: str,
    stream_no: int,
    hint: AnswerHint,
    slot: Slot | None,
    *,
    degraded: bool,
) -> Answered:
    settings = runtime.settings
    if slot is None:
        text, holds = hold_or_goodbye(settings, attempt_id, hint), hint.holds
    else:
        text, holds = connect(settings, attempt_id, stream_no, hint, slot), None
    return Answered(text, attempt_id, call_sid, stream_no, slot, degraded=degraded, holds=holds)
