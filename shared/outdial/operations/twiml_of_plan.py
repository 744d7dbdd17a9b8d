"""What a call does when no pod speaks any more: the TwiML of its committed plan (PROTOCOL.md 9)."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import Plan
from outdial.domain.call_events import Source
from outdial.domain.call_template import CallTemplate
from outdial.operations.conversation_record import open_conversation
from outdial.operations.parse_template import template_of
from outdial.operations.runtime import Runtime
from outdial.storage import attempts, call_events, templates
from outdial.storage.tables import Attempt, CallEvent
from outdial.telephony import twiml
from outdial.telephony.callbacks import CallbackUrls


async def twiml_of_plan(runtime: Runtime, attempt: Attempt) -> str:
    """The TwiML of a plan other than a conversation; asked twice it is the same.

    A message that the pod did not finish is spoken by the carrier; one that it did is not repeated.
    """
    if attempt.plan == Plan.TRANSFER:
        return await _transfer(runtime, attempt)
    if attempt.plan == Plan.VOICEMAIL and not was_closed(
        attempt, await events_of(runtime, attempt.id)
    ):
        async with runtime.sessions.begin() as session:  # from here on it is the carrier's
            await attempts.leave_pod(session, attempt.id, attempt.stream_no, attempt.pod)
        return await speak_voicemail(runtime, attempt)
    return twiml.hangup()


async def speak_voicemail(runtime: Runtime, attempt: Attempt, *, pause_seconds: int = 0) -> str:
    """The message in the carrier's voice; that it was spoken to its end is told by the redirect."""
    brief = await open_conversation(runtime, attempt.id, attempt.stream_no)
    if brief is None or not brief.voicemail_script:
        return twiml.hangup()
    spoken = CallbackUrls(runtime.settings).voicemail_spoken(attempt.id)
    language = brief.template.language
    return twiml.say_and_redirect(brief.voicemail_script, spoken, language, pause_seconds)


async def events_of(runtime: Runtime, attempt_id: UUID) -> list[CallEvent]:
    """All that is known of an attempt."""
    async with runtime.sessions() as session:
        return await call_events.of_attempt(session, attempt_id)


def was_closed(attempt: Attempt, events: Sequence[CallEvent]) -> bool:
    """Whether the pod had its last word on the current stream, or the message has been left."""
    return any(
        (event.kind == "voicemail_left" and event.source in {Source.POD, Source.GATEWAY})
        or (
            event.source == Source.POD
            and event.kind == "conversation_closed"
            and event.payload.get("stream_no") == attempt.stream_no
            and event.payload.get("reason") != "stream_lost"  # nobody closed it: it goes on
        )
        for event in events
    )


async def template_of_attempt(session: AsyncSession, template_id: UUID) -> CallTemplate:
    """The attempt's own version of its template."""
    row = await templates.get(session, template_id)
    if row is None:
        raise LookupError(f"template {template_id} is gone")
    return template_of(row.body)


async def _transfer(runtime: Runtime, attempt: Attempt) -> str:
    """Dial the human. The pod has announced it: the person hears the ringing next.

    A human is dialed once: when that dial has ended, an `action` that comes late hangs up.
    """
    async with runtime.sessions() as session:
        events = await call_events.of_attempt(session, attempt.id)
        template = await template_of_attempt(session, attempt.template_id)
    transfer = template.transfer
    tried = any(event.source == Source.TRANSFER for event in events)
    if tried or not transfer.number:
        return twiml.hangup()
    urls = CallbackUrls(runtime.settings)
    return twiml.dial(
        transfer.number,
        caller_id=transfer.caller_id or attempt.caller_number,
        timeout_seconds=transfer.timeout_seconds,
        action=urls.transfer_ended(attempt.id, language=template.language),
        whisper=urls.transfer_whisper(attempt.id) if transfer.whisper else None,
    )
