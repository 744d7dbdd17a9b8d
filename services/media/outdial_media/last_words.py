"""The end of a call: its plan is committed before the socket closes, and what was said last counts.

A person who says "stop calling me" and hangs up in the same breath must be heard (PROTOCOL.md 5).
"""

import asyncio
import time
from dataclasses import dataclass

import structlog

from outdial.observability import traces
from outdial.operations.conversation_record import ConversationBrief, commit_hangup
from outdial.operations.runtime import Runtime
from outdial.telephony.twiml import say_goodbye
from outdial_media.closing_pass import closing_pass
from outdial_media.pipeline import CallPipeline
from outdial_media.pipeline_run import PipelineRun
from outdial_media.speech_services import SpeechServices
from outdial_media.telephone_line import TelephoneLine
from outdial_media.tools import Tools
from outdial_media.turn_record import TurnRecord
from outdial_media.twilio_frames import StreamStart

_log = structlog.get_logger(__name__)

COMMIT_SECONDS = 1.0
CARRIER_SECONDS = 3.0
GOODBYE_SECONDS = 20.0
AFTER_HANGUP_SECONDS = 2.0
AFTER_GOODBYE_SECONDS = 1.0
"""How long the recogniser may take to tell what was said last."""


async def hang_up(runtime: Runtime, brief: ConversationBrief, line: TelephoneLine) -> None:
    """Commit that the call ends, then close: whoever sees the socket close must know why.

    When Postgres does not answer in time, the carrier is told to end the call instead.
    """
    try:
        async with asyncio.timeout(COMMIT_SECONDS):
            await commit_hangup(runtime, brief.attempt_id, brief.stream_no)
    except Exception as error:  # noqa: BLE001 - whatever keeps Postgres from answering
        _log.warning("hangup_not_committed", error=repr(error))
        if line.start is not None:
            await runtime.carrier.end_call(line.start.call_sid)
    await line.close()


async def say_by_carrier(
    runtime: Runtime, brief: ConversationBrief, start: StreamStart | None, text: str
) -> None:
    """Have the carrier say `text` and hang up: nobody here can speak, nor has before."""
    if start is None:
        return
    try:
        async with asyncio.timeout(COMMIT_SECONDS):
            await commit_hangup(runtime, brief.attempt_id, brief.stream_no)
    except Exception as error:  # noqa: BLE001 - the words are worth more than the plan
        _log.warning("hangup_not_committed", error=repr(error))
    twiml = say_goodbye(text, brief.template.language)
    try:
        async with asyncio.timeout(CARRIER_SECONDS):
            await runtime.carrier.update_twiml(start.call_sid, twiml)
    except TimeoutError:
        _log.warning("carrier_says_nothing", call_sid=start.call_sid)


@dataclass(frozen=True)
class LastWords:
    """Hears the rest of what the person said, and has the model act on it without a voice."""

    services: SpeechServices
    brief: ConversationBrief
    pipeline: CallPipeline
    run: PipelineRun
    turns: TurnRecord
    tools: Tools
    closing_pass_seconds: float

    async def act(self, *, person_hung_up: bool) -> None:
        """Do what still has to be done; the pipeline is torn down on the way."""
        deadline = time.monotonic() + self.closing_pass_seconds
        wait = AFTER_HANGUP_SECONDS if person_hung_up else AFTER_GOODBYE_SECONDS
        await self.pipeline.hearing.flush(wait)
        owed = person_hung_up and self.pipeline.thinking.answering
        await self.run.tear_down()
        said = self.turns.last_words()
        messages = [dict(m) for m in self.pipeline.context.messages if isinstance(m, dict)]
        if said:
            messages.append({"role": "user", "content": said})
        elif not (person_hung_up and messages):
            return
        if owed or messages[-1]["role"] in {"user", "tool"}:
            with traces.span("closing_pass", self.brief.span):
                await closing_pass(
                    self.services.route(self.brief.template),
                    self.pipeline.instruction,
                    messages,
                    self.tools,
                    max(1.0, deadline - time.monotonic()),
                )
