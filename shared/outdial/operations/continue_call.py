"""What a call does when something in it has ended, a stream or a dial (PROTOCOL.md 9).

Twilio asks `action`, perhaps twice. The committed plan and stream number answer, so the same
question has the same answer whenever it is asked. While Postgres is away nobody may answer it: the
person is asked to wait, and a Redirect brings the same question back.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import Plan
from outdial.domain.call_template import Pods
from outdial.observability.metrics import MOVED
from outdial.operations.ask_in_time import Away, ask_in_time
from outdial.operations.connect_call import connect, hold_or_goodbye, slot_for
from outdial.operations.gateway import Gateway
from outdial.operations.route_answered_call import Answered, may_connect, read_attempt
from outdial.operations.runtime import Runtime
from outdial.operations.twiml_of_plan import twiml_of_plan
from outdial.operations.wanted_pods import wanted_pods
from outdial.operations.zombie_calls import is_zombie
from outdial.routing.slot_reservation import Slot
from outdial.storage import attempts
from outdial.storage.tables import Attempt
from outdial.telephony import twiml
from outdial.telephony.callbacks import AnswerHint, CallbackUrls

_log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 1.5
"""For Postgres: who waits hears nothing. A second less than Twilio waits (`callbacks.py`)."""

Why = Literal["stream_lost", "nobody_took_over"]


@dataclass(frozen=True)
class Asked:
    """What Twilio posted to an `action`.

    From our URL: `holds`, how often it has been asked to wait for this, in which `language`.
    """

    attempt_id: UUID
    call_sid: str
    call_status: str
    holds: int
    language: str


async def answer(
    gateway: Gateway, asked: Asked, again: str, decide: Callable[[Attempt], Awaitable[Answered]]
) -> Answered:
    """What `decide` says, if the call may go on at all; without Postgres, wait and ask `again`."""
    if asked.call_status != "in-progress":
        return say(asked, twiml.empty())
    found = await ask_in_time(PATIENCE_SECONDS, _decide(gateway.runtime, asked, decide))
    if isinstance(found, Away):
        _log.error("action_unread", attempt_id=str(asked.attempt_id), reason=found.reason)
        return hold(gateway.runtime, asked, again, degraded=True)
    return found


async def _decide(
    runtime: Runtime, asked: Asked, decide: Callable[[Attempt], Awaitable[Answered]]
) -> Answered:
    attempt = await read_attempt(runtime, asked.attempt_id)
    if attempt is None or not may_connect(attempt, asked.call_sid):
        zombie = is_zombie(attempt, asked.call_sid, asked.call_status)
        return Answered(twiml.hangup(), asked.attempt_id, asked.call_sid, zombie=zombie)
    return await decide(attempt)


async def next_stream(
    gateway: Gateway,
    attempt: Attempt,
    asked: Asked,
    why: Why,
    commit: Callable[[AsyncSession], Awaitable[bool]],
    avoid: tuple[str, str] | None = None,
) -> Answered:
    """Connect the call with a pod, on the stream that `commit` moves it to; False: somebody did.

    The slot comes before the stream number: of two requests the one that loses the compare-and-set
    finds the same new slot, never the lost pod's (`avoid`).
    """
    runtime = gateway.runtime
    wanted = await _wanted(runtime, attempt)
    slot, degraded = await slot_for(gateway, attempt.id, _hint(attempt, asked), wanted, avoid=avoid)
    async with runtime.sessions.begin() as session:
        won = await commit(session)
        if won and slot is not None:
            await attempts.assign_pod(session, attempt.id, slot.pod_id, slot.boot_id)
        elif won:  # on hold it stands on no pod: only its Redirect moves it on
            await attempts.leave_pod(session, attempt.id, attempt.stream_no + 1, attempt.pod)
    if won:
        MOVED.labels(why, "no_room" if slot is None else "resumed").inc()
    _log.warning(why, attempt_id=str(attempt.id), pod=attempt.pod, won=won)
    current = await read_attempt(runtime, attempt.id)
    if current is None or not may_connect(current, asked.call_sid):
        return say(asked, twiml.hangup())
    if current.plan != Plan.CONVERSATION:
        return say(asked, await twiml_of_plan(runtime, current))
    return _connected(runtime, current, asked, slot, degraded=degraded)


async def connect_again(gateway: Gateway, attempt: Attempt, asked: Asked, again: str) -> Answered:
    """A question that has been answered, or overtaken: the current stream's TwiML once more.

    One that was on hold meanwhile may just be moved by the watcher of silent pods: it has committed
    the stream, and is telling the carrier. Connected twice, the conversation that just began would
    be cut; so the call waits once more, and is connected here if the watcher died on its way.
    """
    wanted = await _wanted(gateway.runtime, attempt)
    slot, degraded = await slot_for(gateway, attempt.id, _hint(attempt, asked), wanted)
    is_moving = slot is not None and attempt.pod not in {None, slot.pod_id}
    if is_moving and 0 < asked.holds < gateway.runtime.settings.hold_times:
        return hold(gateway.runtime, asked, again)
    return _connected(gateway.runtime, attempt, asked, slot, degraded=degraded)


def hold(runtime: Runtime, asked: Asked, again: str, *, degraded: bool = False) -> Answered:
    """Ask to wait, bounded by the holds there were."""
    text = hold_or_goodbye(runtime.settings, again, asked.holds, asked.language)
    held = asked.holds
    return Answered(text, asked.attempt_id, asked.call_sid, degraded=degraded, holds=held)


def say(asked: Asked, text: str) -> Answered:
    """TwiML that connects nobody."""
    return Answered(text, asked.attempt_id, asked.call_sid)


def _connected(
    runtime: Runtime, attempt: Attempt, asked: Asked, slot: Slot | None, *, degraded: bool
) -> Answered:
    hint, settings = _hint(attempt, asked), runtime.settings
    if slot is None:
        voice = CallbackUrls(settings).voice(attempt.id, hint.held_once_more())
        text = hold_or_goodbye(settings, voice, hint.holds, hint.language)
        return Answered(text, attempt.id, asked.call_sid, attempt.stream_no, holds=hint.holds)
    text = connect(settings, attempt.id, attempt.stream_no, hint, slot)
    return Answered(text, attempt.id, asked.call_sid, attempt.stream_no, slot, degraded)


async def _wanted(runtime: Runtime, attempt: Attempt) -> Pods:
    async with runtime.sessions() as session:
        return await wanted_pods(session, attempt.template_id)


def _hint(attempt: Attempt, asked: Asked) -> AnswerHint:
    return AnswerHint(
        pod_id=attempt.pod or "",
        boot_id=attempt.boot_id or "",
        pod_url="",
        template_id=attempt.template_id,
        lead_id=attempt.lead_id,
        holds=asked.holds,
        language=asked.language,
    )
