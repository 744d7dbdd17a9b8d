"""One conversation, from a pipeline that waits for its call to the last word written about it."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from outdial.domain.attempt_state import Plan
from outdial.domain.call_outcome import EndedBy
from outdial.domain.phrases import phrases_for
from outdial.observability import traces
from outdial.observability.trace_ids import attempt_span
from outdial.operations.conversation_record import (
    ConversationBrief,
    Standing,
    close_conversation,
)
from outdial.operations.guarded_http import GuardedHttp
from outdial.operations.leave_voicemail import leave_voicemail
from outdial.operations.runtime import Runtime
from outdial.operations.tool_arguments import zone_of
from outdial.operations.transfer_call import transfer_call
from outdial_media import metrics
from outdial_media.background_writer import BackgroundWriter
from outdial_media.covered_waits import CoveredWaits
from outdial_media.giving_up import GivingUp
from outdial_media.instructions import system_instruction
from outdial_media.last_words import GOODBYE_SECONDS, LastWords, hang_up
from outdial_media.machine import MachineMessage
from outdial_media.opening import Opening
from outdial_media.pipeline import CallPipeline, build_pipeline
from outdial_media.pipeline_run import PipelineRun
from outdial_media.shared_models import SharedModels
from outdial_media.silent_person import SilentPerson
from outdial_media.speech_services import SpeechServices
from outdial_media.stages import Course, Ending, Stage
from outdial_media.telephone_line import TelephoneLine
from outdial_media.tools import Tools
from outdial_media.transcript import Transcript
from outdial_media.turn_record import TurnRecord
from outdial_media.voice import Voice

_log = structlog.get_logger(__name__)

TRANSFER = "transfer"
"""The reason of an ending after which the call goes on, with a human."""


@dataclass(frozen=True)
class Kit:
    """What every conversation of a pod works with."""

    runtime: Runtime
    models: SharedModels
    services: SpeechServices
    http: GuardedHttp


async def make_conversation(
    kit: Kit, brief: ConversationBrief, line: TelephoneLine
) -> "Conversation":
    """A conversation that waits for its call, made a little at a time."""
    course = Course()
    local_time = datetime.now(zone_of(brief.timezone)).strftime("%A, %Y-%m-%d, %H:%M")
    pipeline = await build_pipeline(
        line,
        brief.template,
        kit.models,
        kit.services,
        instruction=system_instruction(brief, local_time),
        muted=lambda: not course.is_talking,
    )
    await asyncio.sleep(0)
    return Conversation(kit, brief, line, course, pipeline)


class Conversation:
    """Owns everything of one call; `talk` returns when nothing of it is left."""

    def __init__(
        self,
        kit: Kit,
        brief: ConversationBrief,
        line: TelephoneLine,
        course: Course,
        pipeline: CallPipeline,
    ) -> None:
        self._kit = kit
        self.brief = brief
        self._line = line
        self._course = course
        self._pipeline = pipeline
        self._writer = BackgroundWriter(str(brief.attempt_id))
        self._transcript = Transcript(kit.runtime, brief, self._writer)
        self._tools = Tools(kit.runtime, brief, self, kit.http)
        self._pipeline.call_tools(self._tools)
        self._pipeline.thinking.may_answer = lambda: course.is_talking
        self._voice = Voice(self._pipeline, line)
        self._turns = TurnRecord(self._pipeline, line, self._transcript)
        self._phrases = phrases_for(brief.template.language)
        self._opening = Opening(kit.services, brief, self._pipeline, self._voice)
        self._waits = CoveredWaits(
            kit.services,
            brief,
            self._pipeline,
            self._voice,
            self._turns,
            self._transcript,
            wanted=lambda: course.may_keep_waiting,
        )
        self._run = PipelineRun(self._pipeline.worker)
        self._giving_up = GivingUp(
            kit.runtime,
            brief,
            line,
            course,
            self._pipeline,
            self._run,
            self._voice,
            self._waits,
            self._transcript,
        )
        self._silent_person = SilentPerson(
            self._pipeline.person,
            brief.idle_prompts,
            course,
            self._voice,
            give_up=lambda: self.end_with(brief.goodbye, "idle"),
        )
        self._message = MachineMessage(
            kit.runtime,
            kit.models,
            brief,
            course,
            self._pipeline,
            self._voice,
            self._transcript,
        )
        self._span = traces.NOTHING

    # Before the call.

    async def prepare(self) -> None:
        """Connect the providers and have the greeting ready; done once, early or late."""
        self._waits.prepare()
        await asyncio.gather(self._run.start(), self._opening.prepare())

    async def discard(self) -> None:
        """Let go of a conversation that never began: nothing is written about it."""
        self._course.stage = Stage.OVER
        await self._run.tear_down()

    @property
    def parts(self) -> tuple[object, ...]:
        """What is taken apart when all is over (`taken_apart.py`)."""
        return self._run.parts

    # The call.

    async def talk(self) -> Ending:
        """From `start` to the last word. Always ends, and always writes how."""
        ending = Ending(EndedBy.SYSTEM, "error")
        try:
            self._begin()
            await self._open()
            ending = await self._until_over()
        except Exception:  # noqa: BLE001 - it ends, and says so, whatever happened
            _log.exception("conversation_failed", attempt_id=str(self.brief.attempt_id))
        finally:
            await self._close(ending)
        return ending

    def plan_changed(self, standing: Standing) -> None:
        """Somebody else has changed what this call is to do."""
        if standing.ended or standing.stop_reason:
            self._course.end(Ending(EndedBy.SYSTEM, standing.stop_reason or "ended"))
        elif standing.stream_no != self.brief.stream_no:
            self._course.end(Ending(EndedBy.SYSTEM, "moved"))
        elif standing.plan == Plan.HANGUP and self._course.stage in {Stage.TALKING, Stage.MACHINE}:
            self._course.end(Ending(EndedBy.SYSTEM, "machine"))
        elif standing.plan == Plan.VOICEMAIL and self._course.is_talking:
            self._message.begin(has_spoken=False)

    # What tools may do (tools.Call).

    def said_since_person(self) -> bool:
        """Whether the agent has said anything since the person's last words."""
        return self._turns.agent_spoke

    def end_with(
        self, farewell: str | None, reason: str, ended_by: EndedBy = EndedBy.AGENT
    ) -> None:
        """Say the last words to their end, then hang up."""
        if self._course.stage in {Stage.GOODBYE, Stage.OVER}:
            return
        self._course.stage = Stage.GOODBYE
        self._course.meant = Ending(ended_by, reason)
        self._course.spawn(self._say_goodbye(farewell, self._course.meant))

    async def say(self, text: str) -> None:
        """Say something beside the model's own answers."""
        if self._course.is_talking:
            await self._voice.say(text)

    def cover_wait(self, text: str) -> None:
        """A tool takes its time."""
        if self._course.is_talking:
            self._waits.cover(text)

    async def press(self, digits: str) -> None:
        """Send the tones of keys."""
        if self._course.is_talking:
            self._waits.over()  # the menu speaks next
            await self._voice.press(digits)

    async def put_through(self, announcement: str | None) -> bool:
        """The model hands the call to a human: nothing else ends it once this is committed."""
        if not self._course.is_talking:
            return False
        if not await transfer_call(self._kit.runtime, self.brief.attempt_id):
            return False
        self.end_with(announcement, TRANSFER)
        return True

    async def reach_machine(self) -> None:
        """The model noticed a machine."""
        if not self._course.is_talking:
            return
        if not self.brief.voicemail_script:
            self._course.end(Ending(EndedBy.AGENT, "machine"))
            return
        await leave_voicemail(self._kit.runtime, self.brief.attempt_id)
        if self._course.is_talking:
            self._message.begin(has_spoken=True)

    # Inside.

    def _begin(self) -> None:
        self._course.stage = Stage.TALKING
        metrics.live_calls.inc()
        self._transcript.milestone("stream_started")
        call = attempt_span(self.brief.attempt_id, self.brief.lead_id)
        self._span = traces.span("conversation", call, own=self.brief.span)
        agent = self.brief.template.agent
        answered = self.brief.answered_at or datetime.now(UTC)
        gone = (datetime.now(UTC) - answered).total_seconds()
        self._course.spawn(self._end_after(max(1.0, 60 * agent.max_minutes - gone)))

    async def _open(self) -> None:
        if (trouble := self._giving_up.lost_early) is not None:
            self._giving_up.because(trouble)
        elif self.brief.plan == Plan.VOICEMAIL:
            self._message.begin(has_spoken=False)
        else:
            await self._opening.speak()

    async def _until_over(self) -> Ending:
        gone = asyncio.create_task(self._line.ended.wait())
        either: set[asyncio.Future[Any]] = {self._course.ending, gone}
        try:
            await asyncio.wait(either, return_when="FIRST_COMPLETED")
        finally:
            gone.cancel()
        if self._course.ending.done():
            return self._course.ending.result()
        left = self._line.stopped_by_carrier
        if self._course.meant is not None and not (left and self._course.meant.reason == TRANSFER):
            return self._course.meant  # hanging up during our goodbye does not change who ended it
        if self._line.stopped_by_carrier:
            return Ending(EndedBy.PERSON, "person_hung_up")
        return Ending(EndedBy.SYSTEM, "stream_lost")

    async def _say_goodbye(self, farewell: str | None, ending: Ending) -> None:
        if farewell:
            await self._voice.say(farewell, to_the_end=True)
        await self._voice.played(GOODBYE_SECONDS)
        if not self._giving_up.has_begun:
            self._course.end(ending)

    async def _end_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.end_with(self._phrases.longest_call, "longest_call")

    # The end.

    async def _close(self, ending: Ending) -> None:
        talked = self._course.stage in {Stage.TALKING, Stage.GOODBYE}
        self._course.stage = Stage.OVER
        try:
            self._pipeline.output.cut()
            if ending.reason == TRANSFER:
                await self._line.close()  # the plan is committed: the carrier asks what follows
            elif not self._line.ended.is_set():
                await hang_up(self._kit.runtime, self.brief, self._line)
            if talked and not self._goes_on_elsewhere(ending):
                await self._last_words().act(person_hung_up=self._line.stopped_by_carrier)
            await self._run.tear_down()
            self._turns.last_words()
        except Exception:  # noqa: BLE001 - what is left is still written
            _log.exception("closing_failed", attempt_id=str(self.brief.attempt_id))
        finally:
            self._course.cancel_work()
            self._writer.add(lambda: self._write_closing(ending))
            await self._writer.drain()
            metrics.live_calls.dec()
            metrics.calls.labels(ending.ended_by, ending.reason).inc()
            self._tell_end(ending)

    def _tell_end(self, ending: Ending) -> None:
        about: dict[str, str | int] = {
            "attempt_id": str(self.brief.attempt_id),
            "stream_no": self.brief.stream_no,
            "ended_by": str(ending.ended_by),
            "reason": ending.reason,
            "human_turns": self._transcript.human_turns,
        }
        _log.info("conversation_ended", **about)
        self._span.set(**about)
        self._span.end()

    def _goes_on_elsewhere(self, ending: Ending) -> bool:
        """Whether another pod may take the call on: what was said is acted on there."""
        lost = not (self._line.stopped_by_carrier or self._line.closed_by_us)
        return lost or ending.reason == "moved"

    def _last_words(self) -> LastWords:
        return LastWords(
            self._kit.services,
            self.brief,
            self._pipeline,
            self._run,
            self._turns,
            self._tools,
            self._kit.runtime.settings.closing_pass_seconds,
        )

    async def _write_closing(self, ending: Ending) -> None:
        await close_conversation(
            self._kit.runtime,
            self.brief.attempt_id,
            self.brief.stream_no,
            ended_by=ending.ended_by,
            reason=ending.reason,
            human_turns=self._transcript.human_turns,
        )
