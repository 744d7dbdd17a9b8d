"""Somebody picked up: which pod talks to them (PROTOCOL.md 8).

Each store may delay the answer by its patience and no more; the URL and the gateway's last view of
the pods are enough to connect a call. Knowing a zombie or an opted-out attempt needs Postgres: when
it does not answer in time the call is connected, and the settler ends it.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog

from outdial.domain.attempt_state import AttemptState, Plan
from outdial.domain.call_events import Event
from outdial.domain.call_template import Pods
from outdial.observability import traces
from outdial.operations.ask_in_time import Away
from outdial.operations.connect_call import (
    answer_lease,
    connect,
    hold_or_goodbye,
    slot_for,
    slot_without_redis,
)
from outdial.operations.gateway import Gateway
from outdial.operations.runtime import Runtime
from outdial.operations.wanted_pods import known_pods, wanted_pods, wanted_without_asking
from outdial.operations.zombie_calls import is_zombie
from outdial.routing.slot_reservation import Slot, confirm
from outdial.storage import attempts
from outdial.storage.answered_calls import AnsweredCall
from outdial.storage.tables import Attempt
from outdial.telephony import twiml
from outdial.telephony.callback_events import answered_event, held_event
from outdial.telephony.callbacks import AnswerHint, CallbackUrls

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
    left_pod: str | None = None  # the pod that it named, if it is on hold now


async def route_answered_call(
    gateway: Gateway, attempt_id: UUID, call_sid: str, hint: AnswerHint
) -> Answered:
    """Decide from the database and the reservation, without either from the URL.

    Both are asked at once. Only a slot that the attempt holds is confirmed so early: another one is
    reserved when it is known that the call may go on.
    """
    if hint.lead_id is not None:
        traces.about_attempt(attempt_id, hint.lead_id)
    read, held = await asyncio.gather(_read(gateway, attempt_id), _held(gateway, attempt_id))
    if isinstance(read, Away):
        _log.warning("answered_without_database", attempt_id=str(attempt_id), reason=read.reason)
        slot, _ = await _slot(
            gateway, attempt_id, hint, held, wanted_without_asking(hint.template_id)
        )
        return _answer(gateway.runtime, attempt_id, call_sid, 1, hint, slot, degraded=True)
    found, wanted = read
    if found is None or not may_connect(found, call_sid):
        zombie = is_zombie(found, call_sid, "in-progress")
        return Answered(twiml.hangup(), attempt_id, call_sid, zombie=zombie)
    hint = replace(hint, template_id=found.template_id, lead_id=found.lead_id)
    slot, degraded = await _slot(gateway, attempt_id, hint, held, wanted)
    answered = _answer(
        gateway.runtime, attempt_id, call_sid, found.stream_no, hint, slot, degraded=degraded
    )
    named = slot is not None and (found.pod, found.boot_id) == (slot.pod_id, slot.boot_id)
    return replace(answered, as_prepared=named, left_pod=found.pod if slot is None else None)


def answer_without_stores(
    gateway: Gateway, attempt_id: UUID, call_sid: str, hint: AnswerHint
) -> Answered:
    """The same from the URL and the last view alone: for the fallback, when something is broken."""
    wanted = wanted_without_asking(hint.template_id)
    slot = slot_without_redis(gateway.router, hint, wanted)
    return _answer(gateway.runtime, attempt_id, call_sid, 1, hint, slot, degraded=True)


async def assign_answered_pod(runtime: Runtime, answered: Answered) -> None:
    """Write the pod, unless the call has gone on to another stream since it was answered.

    A call on hold stands on none: whoever moves calls of silent pods has nothing to do with it.
    """
    slot = answered.slot
    if slot is None and answered.left_pod is not None:
        async with runtime.sessions.begin() as session:
            stream_no, pod = answered.stream_no, answered.left_pod
            await attempts.leave_pod(session, answered.attempt_id, stream_no, pod)
    if slot is None or answered.as_prepared:
        return
    async with runtime.sessions.begin() as session:
        attempt = await attempts.lock(session, answered.attempt_id)
        if attempt is not None and attempt.stream_no == answered.stream_no:
            await attempts.assign_pod(session, attempt.id, slot.pod_id, slot.boot_id)


def event_of(answered: Answered, now: datetime) -> Event | None:
    """What is to be written about an answer; None where the request itself says it all."""
    sid, slot = answered.call_sid, answered.slot
    if slot is not None:
        return answered_event(sid, slot.pod_id, answered.stream_no, answered.degraded, now)
    return None if answered.holds is None else held_event(sid, answered.holds, now)


async def read_attempt(runtime: Runtime, attempt_id: UUID) -> Attempt | None:
    """The attempt as it stands."""
    async with runtime.sessions() as session:
        found = await attempts.get(session, attempt_id)
    if found is not None:
        traces.about_attempt(found.id, found.lead_id)
    return found


async def _read(gateway: Gateway, attempt_id: UUID) -> tuple[AnsweredCall | None, Pods] | Away:
    call = await gateway.postgres.ask(lambda: gateway.calls.read(attempt_id))
    if call is None or isinstance(call, Away):
        return call or (None, Pods())
    known = known_pods(call.template_id)
    if known is not None:
        return call, known
    wanted = await gateway.postgres.ask(lambda: _wanted(gateway.runtime, call.template_id))
    return wanted if isinstance(wanted, Away) else (call, wanted)


async def _wanted(runtime: Runtime, template_id: UUID) -> Pods:
    async with runtime.sessions() as session:
        return await wanted_pods(session, template_id)


async def _held(gateway: Gateway, attempt_id: UUID) -> Slot | Away | None:
    runtime, lease = gateway.runtime, answer_lease(gateway.runtime.settings)
    return await gateway.redis.ask(lambda: confirm(runtime.redis, attempt_id, lease))


async def _slot(
    gateway: Gateway, attempt_id: UUID, hint: AnswerHint, held: Slot | Away | None, wanted: Pods
) -> tuple[Slot | None, bool]:
    """The slot that it holds, else one reserved now; and whether Redis could not say it."""
    if isinstance(held, Slot):
        return held, False
    if isinstance(held, Away):
        return slot_without_redis(gateway.router, hint, wanted), True
    return await slot_for(gateway, attempt_id, hint, wanted)


def may_connect(attempt: Attempt | AnsweredCall, call_sid: str) -> bool:
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
        again = CallbackUrls(settings).voice(attempt_id, hint.held_once_more())
        text = hold_or_goodbye(settings, again, hint.holds, hint.language)
        holds: int | None = hint.holds
    else:
        text, holds = connect(settings, attempt_id, stream_no, hint, slot), None
    return Answered(text, attempt_id, call_sid, stream_no, slot, degraded=degraded, holds=holds)
