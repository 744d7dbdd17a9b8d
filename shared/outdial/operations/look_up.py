"""Ask a system of the operator's own before a call is dialed (a template's `lookup`).

Between claim and dial token, by the pod on which the call has its slot: no worker waits for a slow
system, no lock and no transaction is held, and the answer is seconds old when somebody picks up.
It is written as one event: asked twice (a pod died, Redis was emptied), the first answer counts.
"""

import asyncio
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState, StopReason
from outdial.domain.call_events import Event
from outdial.domain.call_template import Lookup
from outdial.domain.dial_gates import Reason
from outdial.domain.internet_address import read_allow_list
from outdial.domain.lookup_answer import Answered, Failed, Found, SaysNo, fallbacks, read_answer
from outdial.domain.placeholders import values_for
from outdial.observability import traces
from outdial.observability.metrics import LOOKUP_SECONDS
from outdial.operations.call_http_tool import Answer, NoAnswer, ask
from outdial.operations.conversation_record import called
from outdial.operations.dial_events import dialer_event
from outdial.operations.guarded_http import GuardedHttp
from outdial.operations.parse_template import template_of
from outdial.operations.runtime import Runtime
from outdial.operations.settle_attempt import Locked, settle_attempt
from outdial.storage import attempts, call_events, lookups, templates
from outdial.storage.tables import Attempt

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Question:
    """What one attempt asks, and with which variables."""

    lookup: Lookup
    values: dict[str, object]
    brought: dict[str, object]  # by the lead itself


@traces.traced("lookup")
async def look_up(runtime: Runtime, http: GuardedHttp, attempt_id: uuid.UUID) -> None:
    """Ask for one queued attempt, and have it dialed, or not.

    Nothing happens if it is not queued any more, or has its answer.
    """
    question = await _question(runtime, attempt_id)
    if question is None:
        return
    began = time.monotonic()
    status: int | None = None
    try:
        answer: Answer = await ask(http, question.lookup.http, question.values)
        status = answer.status
        judged = read_answer(question.lookup, answer.status, answer.text, question.brought)
    except NoAnswer as error:
        judged = Failed(str(error))
    seconds = time.monotonic() - began
    word = _word(judged)
    LOOKUP_SECONDS.labels(word).observe(seconds)
    traces.note(result=word)
    if not isinstance(judged, Found):
        reason = judged.error if isinstance(judged, Failed) else ""
        _log.warning("lookup", attempt_id=str(attempt_id), status=word, reason=reason)
    event = _event(question, judged, status, seconds)
    if await _write(runtime, attempt_id, event, _refusal(question.lookup, judged)):
        runtime.hints.place([attempt_id])


async def look_up_here(runtime: Runtime, attempt_ids: Iterable[uuid.UUID]) -> None:
    """The same for several, where no pod is told of a call before it is answered."""
    http = GuardedHttp(read_allow_list(runtime.settings.http_tools_allow))
    try:
        await asyncio.gather(*(look_up(runtime, http, attempt_id) for attempt_id in attempt_ids))
    finally:
        await http.close()


async def _question(runtime: Runtime, attempt_id: uuid.UUID) -> _Question | None:
    async with runtime.sessions() as session:
        if not await lookups.awaiting(session, [attempt_id]):
            return None
        attempt = await attempts.get(session, attempt_id)
        template = await templates.get(session, attempt.template_id) if attempt else None
        if attempt is None or template is None or attempt.stop_reason is not None:
            return None
        traces.about_attempt(attempt.id, attempt.lead_id)
        lead, contact = await called(session, attempt)
    brought = dict(lead.variables) if lead else {}
    values = values_for(brought, contact.name if contact else None, attempt.phone)
    return _Question(template_of(template.body).lookup, values, brought)


def _event(question: _Question, judged: Answered, status: int | None, seconds: float) -> Event:
    """The fact as it is kept: never the URL, the headers or the body, which may hold secrets."""
    payload: dict[str, Any] = {"status": _word(judged), "ms": round(1000 * seconds)}
    if status is not None:
        payload["http"] = status
    if isinstance(judged, Failed):
        payload["error"] = judged.error
        payload["values"] = fallbacks(question.lookup, question.brought)
    elif isinstance(judged, Found):
        payload["values"] = dict(judged.values)
    return dialer_event(lookups.KIND, payload)


def _refusal(lookup: Lookup, judged: Answered) -> Reason | None:
    """Why it is not dialed, if it is not."""
    if isinstance(judged, SaysNo):
        return Reason.LOOKUP_SAYS_NO
    failed = isinstance(judged, Failed) and lookup.on_failure == "do_not_call"
    return Reason.LOOKUP_FAILED if failed else None


async def _write(
    runtime: Runtime, attempt_id: uuid.UUID, event: Event, refusal: Reason | None
) -> bool:
    """Keep the answer, and act on it, while the attempt is queued; whether it is to be dialed."""
    if refusal is None:
        async with runtime.sessions.begin() as session:
            attempt = await attempts.lock(session, attempt_id)
            if attempt is None or not _waits(attempt):
                return False
            number = await call_events.append(session, attempt_id, event, to_settle=False)
            return number is not None

    async def refuse(session: AsyncSession, locked: Locked) -> Event | None:
        if not _waits(locked.attempt):
            return None
        if await call_events.append(session, attempt_id, event, to_settle=False) is None:
            return None  # another answer counts
        if refusal is Reason.LOOKUP_SAYS_NO:  # for good: the lead is not tried again
            locked.attempt.stop_reason = StopReason.CANCELED
        return dialer_event("gate_refused", {"reason": str(refusal)})

    await settle_attempt(runtime, attempt_id, append=refuse)
    return False


def _waits(attempt: Attempt) -> bool:
    return attempt.state == AttemptState.QUEUED and attempt.stop_reason is None


def _word(judged: Answered) -> str:
    match judged:
        case Found():
            return "found"
        case SaysNo():
            return "says_no"
        case Failed():
            return "failed"
