"""A media stream has ended: what the call does next (PROTOCOL.md 9).

Twilio asks when the pod closed its socket, when the pod died, perhaps on hang-up, perhaps after a
REST update, perhaps twice. The committed plan answers; a conversation that nobody closed goes on at
another pod, with the next stream number, from the transcript so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from outdial.domain.attempt_state import Plan
from outdial.domain.call_events import Source
from outdial.observability.metrics import MOVED
from outdial.operations.connect_call import unable
from outdial.operations.continue_call import Asked, answer, connect_again, next_stream, say
from outdial.operations.gateway import Gateway
from outdial.operations.route_answered_call import Answered
from outdial.operations.runtime import Runtime
from outdial.operations.twiml_of_plan import events_of, twiml_of_plan, was_closed
from outdial.storage import attempts
from outdial.storage.tables import Attempt, CallEvent
from outdial.telephony import twiml
from outdial.telephony.callbacks import CallbackUrls


@dataclass(frozen=True)
class StreamEnded(Asked):
    """What Twilio posted to the stream's `action`."""

    stream_no: int


async def handle_stream_ended(gateway: Gateway, ended: StreamEnded) -> Answered:
    """The TwiML that the call executes next."""
    urls = CallbackUrls(gateway.runtime.settings)
    again = urls.stream_ended(ended.attempt_id, ended.stream_no, ended.holds + 1, ended.language)
    return await answer(
        gateway, ended, again, lambda attempt: _next(gateway, attempt, ended, again)
    )


async def _next(gateway: Gateway, attempt: Attempt, ended: StreamEnded, again: str) -> Answered:
    runtime = gateway.runtime
    if attempt.plan != Plan.CONVERSATION:
        return say(ended, await twiml_of_plan(runtime, attempt))
    if attempt.stream_no != ended.stream_no:
        return await connect_again(gateway, attempt, ended, again)
    events = await events_of(runtime, attempt.id)
    if was_closed(attempt, events):
        return say(ended, twiml.hangup())
    if _losses(attempt, events) >= runtime.settings.resumes:
        MOVED.labels("stream_lost", "given_up").inc()
        return say(ended, await _give_up(runtime, attempt, ended.language))
    return await next_stream(
        gateway,
        attempt,
        ended,
        "stream_lost",
        lambda session: attempts.next_stream(session, attempt.id, attempt.stream_no),
        avoid=(attempt.pod or "", attempt.boot_id or ""),
    )


def _losses(attempt: Attempt, events: Sequence[CallEvent]) -> int:
    """How often the call was moved before. That it came back from a dial was no loss."""
    back = any(event.source == Source.TRANSFER and "back_on" in event.payload for event in events)
    return attempt.stream_no - 1 - back


async def _give_up(runtime: Runtime, attempt: Attempt, language: str) -> str:
    """Goodbye, and the lead is retried. The plan first: this call is not taken up again."""
    async with runtime.sessions.begin() as session:
        await attempts.change_plan(session, attempt.id, Plan.CONVERSATION, Plan.HANGUP)
    return unable(language)
