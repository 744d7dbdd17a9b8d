"""Dial queued attempts: a token, every gate once more, the intent committed, one POST (PROTOCOL 3).

Whatever happens after the intent is committed, there is no second POST for the attempt: a crash
leaves it `dialing`, and a sweep finds out what became of it.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState
from outdial.domain.call_events import Event
from outdial.domain.dial_gates import Reason, Refused
from outdial.domain.limits import LiveCalls, NumberPast, looks_back
from outdial.observability import traces
from outdial.observability.metrics import DEPARTURE_WAIT_SECONDS, PLACED, REFUSED
from outdial.operations.answer_dial_result import answer_dial_result
from outdial.operations.calling_rules import rules_for, rules_of
from outdial.operations.check_gates import Candidate, check_gates
from outdial.operations.compose_call import compose_call
from outdial.operations.counted_departure import CountedDeparture
from outdial.operations.dial_events import dialer_event
from outdial.operations.each_attempt import each_attempt
from outdial.operations.known_templates import known_template
from outdial.operations.look_up import look_up_here
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import (
    Locked,
    Settlement,
    after_settling,
    lock_for_settling,
    settle_locked,
)
from outdial.operations.wanted_pods import wanted_pods
from outdial.routing.slot_reservation import Slot, reserve
from outdial.storage import attempts, call_events, campaigns, lookups, number_history
from outdial.storage.last_look import last_look
from outdial.storage.tables import Attempt
from outdial.telephony.twilio_client import PlaceCall

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Intent:
    """An attempt that is `dialing`: the call to POST, and when its clock started (monotonic)."""

    call: PlaceCall
    started: float


async def place_attempts(runtime: Runtime, attempt_ids: Sequence[uuid.UUID]) -> dict[str, int]:
    """Dial these attempts, each at its departure; how many came out how.

    One that is no longer queued costs nothing: hints may be repeated. One whose lookup was not
    answered yet waits for it: who answers it sends the next hint.
    """
    async with runtime.sessions() as session:
        queued = [
            attempt.id
            for attempt in await attempts.many(session, attempt_ids)
            if attempt.state == AttemptState.QUEUED and attempt.stop_reason is None
        ]
        awaiting = await lookups.awaiting(session, queued)
    if awaiting and runtime.settings.routing == "static":  # no pod knows of them yet
        await look_up_here(runtime, awaiting)
    ready = [attempt_id for attempt_id in queued if attempt_id not in awaiting]
    results = await each_attempt(runtime, ready, _place, "attempt_not_placed")
    return dict(Counter(result or "failed" for result in results))


@traces.traced("place_attempt")
async def _place(runtime: Runtime, attempt_id: uuid.UUID) -> str:
    settings, tokens = runtime.settings, runtime.dial_tokens
    notice = settings.departure_notice_seconds
    departure = await tokens.take_departure(notice)
    DEPARTURE_WAIT_SECONDS.observe(max(0.0, departure - time.monotonic()))
    await asyncio.sleep(departure - notice - time.monotonic())
    intent = await _commit_intent(runtime, attempt_id)
    if intent is None:
        return "not_dialed"
    latest = intent.started + settings.post_too_late_seconds
    counted = CountedDeparture(tokens, str(attempt_id), departure, latest)
    result = await runtime.carrier.place(intent.call, counted)
    name = type(result).__name__
    PLACED.labels(name).inc()
    traces.note(result=name, error_code=getattr(result, "code", None))
    await answer_dial_result(runtime, attempt_id, result)
    return name


async def _commit_intent(runtime: Runtime, attempt_id: uuid.UUID) -> Intent | None:
    """`queued → dialing`, if every gate is open; None if this attempt is not dialed (by us)."""
    refused: Settlement | None = None
    async with runtime.sessions.begin() as session:
        locked = await lock_for_settling(session, attempt_id)
        if locked is None or locked.attempt.state != AttemptState.QUEUED or locked.lead is None:
            return None
        slot = await _hold_slot(runtime, session, locked.attempt)
        reason = await _refusal(runtime, session, locked, slot)
        if reason is None:
            call, where = await compose_call(runtime, session, locked.attempt, slot)
            started = time.monotonic()
            if not await attempts.begin_dialing(session, attempt_id, where.pod_id, where.boot_id):
                return None  # stopped a moment ago: its end is settled by whoever stopped it
        else:
            await call_events.append(session, attempt_id, _gate_refused(reason))
            refused = await settle_locked(session, locked)
    if refused is not None:
        PLACED.labels("refused").inc()
        REFUSED.labels(str(reason)).inc()
        traces.note(result="refused", reason=str(reason))
        _log.info("attempt_refused", attempt_id=str(attempt_id), reason=reason)
        await after_settling(runtime, refused)
        return None
    return Intent(call, started)


async def _hold_slot(runtime: Runtime, session: AsyncSession, attempt: Attempt) -> Slot | None:
    """The slot reserved at the claim, or another one, for as long as the phone rings."""
    if runtime.settings.routing == "static":
        return None
    lease = runtime.settings.reserved_slot_lease_seconds
    wanted = await wanted_pods(session, attempt.template_id)
    found = await reserve(runtime.redis, attempt.id, lease, wanted=wanted)
    return found if isinstance(found, Slot) else None


async def _refusal(
    runtime: Runtime, session: AsyncSession, locked: Locked, slot: Slot | None
) -> Reason | None:
    """The gate that is closed now, under the number's lock."""
    attempt, lead = locked.attempt, locked.lead
    if slot is None and runtime.settings.routing != "static":
        return Reason.NO_MEDIA_SLOT
    if lead is None or attempt.campaign_id is None:
        return Reason.CAMPAIGN_NOT_RUNNING
    template = await known_template(session, attempt.template_id)
    # Shared: whoever pauses or cancels it, or closes its hours, waits for us, or we see it.
    campaign = await campaigns.share(session, attempt.campaign_id)
    look = await last_look(session, attempt)
    if look.is_calling_us:
        return Reason.NUMBER_BUSY
    if template is None or campaign is None or not look.has_contact:
        return Reason.CAMPAIGN_NOT_RUNNING
    if look.is_caller_set_aside:
        return Reason.NO_CALLER_NUMBER
    rules = rules_of(runtime.settings, campaign.hours, template)
    candidate = Candidate(
        lead,
        attempt.phone,
        look.timezone,
        campaign,
        rules_for(rules, attempt.phone, look.timezone),
    )
    verdict = check_gates(
        candidate,
        suppressed=look.is_suppressed,
        past=await _past(session, candidate, look.now),
        live=LiveCalls(  # this attempt is among those counted
            in_all=look.live_in_all - 1,
            in_campaign=look.live_in_campaign - 1,
            max_in_all=runtime.settings.max_live_calls,
            max_in_campaign=campaign.max_live_calls,
        ),
        now=look.now,
    )
    return verdict.reason if isinstance(verdict, Refused) else None


async def _past(session: AsyncSession, candidate: Candidate, now: datetime) -> NumberPast | None:
    """What the number has been through: under its lock, nothing is added to it meanwhile."""
    back = looks_back(candidate.rules.limits)
    if back is None:
        return None
    phone = candidate.phone
    return (await number_history.pasts_of(session, [phone], back, now))[phone]


def _gate_refused(reason: Reason) -> Event:
    return dialer_event("gate_refused", {"reason": str(reason)})
