"""One conversation, from a pipeline that waits for its call to the last word written about it."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from pipecat.frames.frames import ErrorFrame
from pipecat.processors.aggregators.llm_response_universal import UserTurnStoppedMessage

from outdial.domain.attempt_state import Plan
from outdial.domain.call_outcome import EndedBy
from outdial.domain.phrases import phrases_for
from outdial.observability import traces
from outdial.observability.trace_ids import attempt_span
from outdial.operations.conversation_record import (
    ConversationBrief,
    Standing,
    close_conversation,
    machine_verdict,
)
from outdial.operations.guarded_http import GuardedHttp
from outdial.operations.leave_voicemail import leave_voicemail
from outdial.operations.runtime import Runtime
from outdial.operations.tool_arguments import zone_of
from outdial.operations.transfer_call import transfer_call
from outdial_media import metrics
from outdial_media.background_writer import BackgroundWriter
from outdial_media.covered_waits import CoveredWaits
from outdial_media.instructions import system_instruction
from outdial_media.last_words import LastWords, hang_up, say_by_carrier
from outdial_media.machine import SilenceWatch, wait_for_its_end
from outdial_media.opening import Opening
from outdial_media.pipeline import build_pipeline
from outdial_media.pipeline_run import PipelineRun
from outdial_media.provider_trouble import ProviderTrouble, Trouble
from outdial_media.shared_models import SharedModels
from outdial_media.speech_services import SpeechServices
from outdial_media.stages import Ending, Stage
from outdial_media.telephone_line import TelephoneLine
from outdial_media.tools import Tools
from outdial_media.transcript import Transcript
from outdial_media.turn_record import TurnRecord
from outdial_media.voice import Voice

_log = structlog.get_logger(__name__)

GOODBYE_SECONDS = 20.0
SCRIPT_SECONDS = 90.0
TRANSFER = "transfer"
"""The reason of an ending after which the call goes on, with a human."""


@dataclass(frozen=True)
class Kit:
    """What every conversation of a pod works with."""

    runtime: Runtime
    models: SharedModels
    services: SpeechServices
    http: GuardedHttp


class Conversation:
    """Owns everything of one call; `talk` returns when nothing of it is left."""

    def __init__(self, kit: Kit, brief: ConversationBrief, line: TelephoneLine) -> None:
        self._kit = kit
        self.brief = brief
        self._line = line
        self._stage = Stage.WAITING
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._meant: Ending | None = None  # what the goodbye leads to
        self._gave_up = False  # the last words are others than those that were meant
        self._writer = BackgroundWriter(str(brief.attempt_id))
        self._transcript = Transcript(kit.runtime, brief, self._writer)
        self._tools = Tools(kit.runtime, brief, self, kit.http)
        zone = zone_of(brief.timezone)
        self._instruction = system_instruction(
            brief, datetime.now(zone).strftime("%A, %Y-%m-%d, %H:%M")
        )
        self._pipeline = build_pipeline(
            line,
            brief.template,
            kit.models,
            kit.services,
            system_instruction=self._instruction,
            tools=self._tools,
            muted=lambda: self._stage is not Stage.TALKING,
        )
        self._pipeline.thinking.may_answer = lambda: self._stage is Stage.TALKING
        self._voice = Voice(self._pipeline, line)
        self._turns = TurnRecord(self._pipeline, line, self._transcript)
        self._phrases = phrases_for(brief.template.language)
        self._opening = Opening(kit.services, brief, self._pipeline, self._voice)
        self._trouble = ProviderTrouble(self._pipeline)
        self._lost: Trouble | None = None  # what failed before the call had begun
        self._waits = CoveredWaits(
            kit.services,
            brief,
            self._pipeline,
            self._voice,
            self._turns,
            self._transcript,
            # A farewell may keep the person waiting, too.
            wanted=lambda: self._stage in {Stage.TALKING, Stage.GOODBYE},
            give_up=self._give_up,
        )
        self._run = PipelineRun(self._pipeline.worker)
        self._span = traces.NOTHING
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle_prompts_said = 0
        self._pipeline.worker.add_event_handler("on_pipeline_error", self._on_error)
        self._pipeline.person.add_event_handler("on_user_turn_idle", self._on_idle)
        self._pipeline.person.add_event_handler("on_user_turn_started", self._on_person)
        self._pipeline.person.add_event_handler("on_user_turn_stopped", self._on_words)

    # Before the call.

    async def prepare(self) -> None:
        """Connect the providers and have the greeting ready; done once, early or late."""
        self._waits.prepare()
        await asyncio.gather(self._run.start(), self._opening.prepare())

    async def discard(self) -> None:
        """Let go of a conversation that never began: nothing is written about it."""
        self._stage = Stage.OVER
        await self._run.tear_down()

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
            self._end(Ending(EndedBy.SYSTEM, standing.stop_reason or "ended"))
        elif standing.stream_no != self.brief.stream_no:
            self._end(Ending(EndedBy.SYSTEM, "moved"))
        elif standing.plan == Plan.HANGUP and self._stage in {Stage.TALKING, Stage.MACHINE}:
            self._end(Ending(EndedBy.SYSTEM, "machine"))
        elif standing.plan == Plan.VOICEMAIL and self._stage is Stage.TALKING:
            self._begin_message(has_spoken=False)

    # What tools may do (tools.Call).

    def said_since_person(self) -> bool:
        """Whether the agent has said anything since the person's last words."""
        return self._turns.agent_spoke

    def end_with(
        self, farewell: str | None, reason: str, ended_by: EndedBy = EndedBy.AGENT
    ) -> None:
        """Say the last words to their end, then hang up."""
        if self._stage in {Stage.GOODBYE, Stage.OVER}:
            return
        self._stage = Stage.GOODBYE
        self._meant = Ending(ended_by, reason)
        self._spawn(self._say_goodbye(farewell, self._meant))

    async def say(self, text: str) -> None:
        """Say something beside the model's own answers."""
        if self._stage is Stage.TALKING:
            await self._voice.say(text)

    def cover_wait(self, text: str) -> None:
        """A tool takes its time."""
        if self._stage is Stage.TALKING:
            self._waits.cover(text)

    async def press(self, digits: str) -> None:
        """Send the tones of keys."""
        if self._stage is Stage.TALKING:
            self._waits.over()  # the menu speaks next
            await self._voice.press(digits)

    async def put_through(self, announcement: str | None) -> bool:
        """The model hands the call to a human: nothing else ends it once this is committed."""
        if self._stage is not Stage.TALKING:
            return False
        if not await transfer_call(self._kit.runtime, self.brief.attempt_id):
            return False
        self.end_with(announcement, TRANSFER)
        return True

    async def reach_machine(self) -> None:
        """The model noticed a machine."""
        if self._stage is not Stage.TALKING:
            return
        if not self.brief.voicemail_script:
            self._end(Ending(EndedBy.AGENT, "machine"))
            return
        await leave_voicemail(self._kit.runtime, self.brief.attempt_id)
        if self._stage is Stage.TALKING:
            self._begin_message(has_spoken=True)

    # Inside.

    def _begin(self) -> None:
        self._stage = Stage.TALKING
        metrics.live_calls.inc()
        self._transcript.milestone("stream_started")
        call = attempt_span(self.brief.attempt_id, self.brief.lead_id)
        self._span = traces.span("conversation", call, own=self.brief.span)
        agent = self.brief.template.agent
        answered = self.brief.answered_at or datetime.now(UTC)
        gone = (datetime.now(UTC) - answered).total_seconds()
        self._spawn(self._end_after(max(1.0, 60 * agent.max_minutes - gone)))

    async def _open(self) -> None:
        if not self._run.has_started:
            self._give_up(Trouble("pipeline", "it did not start"))
        elif self._lost is not None:
            self._give_up(self._lost)
        elif self.brief.plan == Plan.VOICEMAIL:
            self._begin_message(has_spoken=False)
        else:
            await self._opening.speak()

    async def _until_over(self) -> Ending:
        gone = asyncio.create_task(self._line.ended.wait())
        either: set[asyncio.Future[Any]] = {self._over, gone}
        try:
            await asyncio.wait(either, return_when="FIRST_COMPLETED")
        finally:
            gone.cancel()
        if self._over.done():
            return self._over.result()
        left = self._line.stopped_by_carrier
        if self._meant is not None and not (left and self._meant.reason == TRANSFER):
            return self._meant  # hanging up during our goodbye does not change who ended it
        if self._line.stopped_by_carrier:
            return Ending(EndedBy.PERSON, "person_hung_up")
        return Ending(EndedBy.SYSTEM, "stream_lost")

    async def _say_goodbye(self, farewell: str | None, ending: Ending) -> None:
        if farewell:
            await self._voice.say(farewell, to_the_end=True)
        await self._voice.played(GOODBYE_SECONDS)
        if not self._gave_up:
            self._end(ending)

    async def _end_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.end_with(self._phrases.longest_call, "longest_call")

    def _begin_message(self, *, has_spoken: bool) -> None:
        self._stage = Stage.MACHINE
        self._transcript.milestone("voicemail_begun")  # else the carrier speaks it in our place
        self._spawn(self._leave_message(has_spoken))

    async def _leave_message(self, has_spoken: bool) -> None:
        await self._voice.hush()
        self._pipeline.output.person_silent_since = None  # the script answers nobody
        detector = self._kit.models.voice_activity(self.brief.template.turns)
        watch = SilenceWatch(detector, has_spoken=has_spoken)
        self._pipeline.input.tap = watch.hear
        runtime, attempt_id = self._kit.runtime, self.brief.attempt_id
        await wait_for_its_end(watch, lambda: machine_verdict(runtime, attempt_id))
        self._pipeline.input.tap = None
        await self._voice.say(self.brief.voicemail_script, to_the_end=True)
        played = await self._voice.played(SCRIPT_SECONDS)
        if played:
            self._transcript.milestone("voicemail_left", key="voicemail_left")
        self._end(Ending(EndedBy.AGENT, "voicemail_left" if played else "machine"))

    def _end(self, ending: Ending) -> None:
        if not self._over.done():
            self._over.set_result(ending)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("conversation_task_failed", error=repr(error), exc_info=error)
            self._end(Ending(EndedBy.SYSTEM, "error"))

    # Events of the pipeline.

    async def _on_person(self, *_args: object) -> None:
        self._waits.over()

    async def _on_words(self, _person: object, _by: object, turn: UserTurnStoppedMessage) -> None:
        if turn.content:  # noises alone are nobody, and do not keep a call alive
            self._idle_prompts_said = 0

    async def _on_idle(self, *_args: object) -> None:
        if self._stage is not Stage.TALKING:
            return
        prompts = self.brief.idle_prompts
        if self._idle_prompts_said < len(prompts):
            self._idle_prompts_said += 1
            await self._voice.say(prompts[self._idle_prompts_said - 1])
        else:
            self.end_with(self.brief.goodbye, "idle")

    async def _on_error(self, _worker: object, frame: ErrorFrame) -> None:
        trouble = self._trouble.weigh(frame)
        if trouble is None or self._stage is Stage.OVER:
            return
        if self._stage is Stage.WAITING:
            self._lost = self._lost or trouble
        else:
            self._give_up(trouble)

    def _give_up(self, trouble: Trouble) -> None:
        """Nobody does the work: say so, and end. The lead is tried again."""
        payload = {"provider": trouble.provider, "error": trouble.error[:500]}
        key = f"provider_failed:{self.brief.stream_no}:{trouble.provider}"
        self._transcript.milestone("provider_failed", payload, key=key)
        self._waits.over()
        on_their_way = self._stage is Stage.GOODBYE and trouble.provider != "speaking"
        if self._gave_up or on_their_way:
            return  # the last words need nobody else
        self._stage, self._gave_up = Stage.GOODBYE, True
        parting, self._meant = self._meant, self._meant or Ending(EndedBy.SYSTEM, "provider_failed")
        text = self._waits.farewell if parting else self._waits.apology
        self._spawn(self._say_last(text, self._meant, voice_lost=trouble.provider == "speaking"))

    async def _say_last(self, text: str, ending: Ending, *, voice_lost: bool) -> None:
        can_speak = self._run.has_started
        if await self._waits.say_last(text, can_speak=can_speak, voice_lost=voice_lost):
            await self._voice.played(GOODBYE_SECONDS)
        else:
            await say_by_carrier(self._kit.runtime, self.brief, self._line.start, text)
        self._end(ending)

    # The end.

    async def _close(self, ending: Ending) -> None:
        talked = self._stage in {Stage.TALKING, Stage.GOODBYE}
        self._stage = Stage.OVER
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
            for task in list(self._tasks):
                task.cancel()
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
            self._instruction,
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
