"""One conversation, from a pipeline that waits for its call to the last word written about it."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import httpx
import structlog
from outdial.domain.attempt_state import Plan
from outdial.domain.call_outcome import EndedBy
from outdial.operations.conversation_record import (
    ConversationBrief,
    Standing,
    close_conversation,
    commit_hangup,
    machine_verdict,
)
from outdial.operations.leave_voicemail import leave_voicemail
from outdial.operations.runtime import Runtime
from pipecat.frames.frames import ErrorFrame
from pipecat.workers.runner import WorkerRunner

from outdial_media import metrics
from outdial_media.background_writer import BackgroundWriter
from outdial_media.closing_pass import closing_pass
from outdial_media.instructions import earlier_messages, system_instruction
from outdial_media.machine import SilenceWatch, wait_for_its_end
from outdial_media.phrases import phrases_for
from outdial_media.pipeline import build_pipeline
from outdial_media.shared_models import SharedModels
from outdial_media.speech_services import SpeechServices
from outdial_media.telephone_line import TelephoneLine
from outdial_media.tool_schemas import zone_of
from outdial_media.tools import Tools
from outdial_media.transcript import Transcript
from outdial_media.turn_record import TurnRecord
from outdial_media.voice import Voice

_log = structlog.get_logger(__name__)

PREPARE_SECONDS = 10.0
GOODBYE_SECONDS = 20.0
SCRIPT_SECONDS = 90.0
COMMIT_SECONDS = 1.0
LAST_WORDS_SECONDS = 2.0
_TEARDOWN_SECONDS = 8.0
_MODEL_TRIES = 2
_VOICE_TRIES = 3


class Stage(StrEnum):
    """Where a conversation stands; it only goes forward."""

    WAITING = "waiting"  # prepared, the phone still rings
    TALKING = "talking"
    MACHINE = "machine"  # mute until the script
    GOODBYE = "goodbye"  # the last words are being said
    OVER = "over"


@dataclass(frozen=True)
class Ending:
    """Why a conversation ended."""

    ended_by: EndedBy
    reason: str


@dataclass(frozen=True)
class Kit:
    """What every conversation of a pod works with."""

    runtime: Runtime
    models: SharedModels
    services: SpeechServices


class Conversation:
    """Owns everything of one call; `talk` returns when nothing of it is left."""

    def __init__(self, kit: Kit, brief: ConversationBrief, line: TelephoneLine) -> None:
        self._kit = kit
        self.brief = brief
        self._line = line
        self._stage = Stage.WAITING
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._meant: Ending | None = None  # what the goodbye leads to
        self._writer = BackgroundWriter(str(brief.attempt_id))
        self._transcript = Transcript(kit.runtime, brief, self._writer)
        self._tools = Tools(kit.runtime, brief, self)
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
        self._tasks: set[asyncio.Task[Any]] = set()
        self._runner: WorkerRunner | None = None
        self._running: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._greeting: bytes | None = None
        self._idle_prompts_said = 0
        self._failures: dict[str, int] = {}
        self._pipeline.worker.add_event_handler("on_pipeline_started", self._on_started)
        self._pipeline.worker.add_event_handler("on_pipeline_error", self._on_error)
        self._pipeline.person.add_event_handler("on_user_turn_idle", self._on_idle)
        self._pipeline.person.add_event_handler("on_user_turn_started", self._on_person)

    # Before the call.

    async def prepare(self) -> None:
        """Connect the providers and have the greeting ready; done once, early or late."""
        if self._running is not None:
            return
        self._runner = WorkerRunner(handle_sigint=False)
        await self._runner.add_workers(self._pipeline.worker)
        self._running = asyncio.create_task(self._runner.run())
        started = asyncio.ensure_future(self._started.wait())
        try:
            await asyncio.gather(
                asyncio.wait(
                    {started, self._running}, timeout=PREPARE_SECONDS, return_when="FIRST_COMPLETED"
                ),
                self._make_greeting(),
            )
        finally:
            started.cancel()

    async def discard(self) -> None:
        """Let go of a conversation that never began: nothing is written about it."""
        self._stage = Stage.OVER
        await self._tear_down()

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
        agent = self.brief.template.agent
        answered = self.brief.answered_at or datetime.now(UTC)
        gone = (datetime.now(UTC) - answered).total_seconds()
        self._spawn(self._end_after(max(1.0, 60 * agent.max_minutes - gone)))

    async def _open(self) -> None:
        if not self._started.is_set():
            self._provider_failed("providers", "the pipeline did not start")
        elif self.brief.history:
            self._pipeline.context.add_messages(earlier_messages(self.brief))  # type: ignore[arg-type]
            await self._voice.say(self._phrases.resumed)
        elif self.brief.plan == Plan.VOICEMAIL:
            self._begin_message(has_spoken=False)
        elif self.brief.template.agent.first_turn == "model":
            await self._voice.let_model_speak()
        elif self.brief.template.agent.first_turn == "agent":
            await self._greet()

    async def _greet(self) -> None:
        if self._greeting:
            await self._voice.play(self.brief.greeting, self._greeting)
        else:
            await self._voice.say(self.brief.greeting)

    async def _make_greeting(self) -> None:
        brief = self.brief
        if brief.template.agent.first_turn != "agent" or brief.history:
            return
        try:
            self._greeting = await self._kit.services.synthesise(
                brief.template.voice.tts, brief.greeting
            )
        except httpx.HTTPError as error:  # the voice of the pipeline may still work
            _log.warning("greeting_not_made", error=repr(error))

    async def _until_over(self) -> Ending:
        gone = asyncio.create_task(self._line.ended.wait())
        either: set[asyncio.Future[Any]] = {self._over, gone}
        try:
            await asyncio.wait(either, return_when="FIRST_COMPLETED")
        finally:
            gone.cancel()
        if self._over.done():
            return self._over.result()
        if self._meant is not None:
            return self._meant  # hanging up during our goodbye does not change who ended it
        if self._line.stopped_by_carrier:
            return Ending(EndedBy.PERSON, "person_hung_up")
        return Ending(EndedBy.SYSTEM, "stream_lost")

    async def _say_goodbye(self, farewell: str | None, ending: Ending) -> None:
        if farewell:
            await self._voice.say(farewell, to_the_end=True)
        await self._voice.played(GOODBYE_SECONDS)
        self._end(ending)

    async def _end_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.end_with(self._phrases.longest_call, "longest_call")

    def _begin_message(self, *, has_spoken: bool) -> None:
        self._stage = Stage.MACHINE
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

    async def _on_started(self, *_args: object) -> None:
        self._started.set()

    async def _on_person(self, *_args: object) -> None:
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
        parts = self._pipeline
        names: dict[int, str] = {
            id(parts.hearing): "hearing",
            id(parts.thinking): "thinking",
            id(parts.speaking): "speaking",
        }
        provider = names.get(id(frame.processor))
        if provider is None or frame.processor is None or self._stage is Stage.OVER:
            return
        metrics.provider_errors.labels(provider).inc()
        count = self._failures[provider] = self._failures.get(provider, 0) + 1
        usable = frame.processor.is_usable
        if provider == "hearing" and usable:
            return  # it reconnects by itself, and says so when it gives up
        tries = _MODEL_TRIES if provider == "thinking" else _VOICE_TRIES
        if usable and count < tries:
            if provider == "thinking":
                await self._voice.let_model_speak()
            return
        self._provider_failed(provider, frame.error)

    def _provider_failed(self, provider: str, error: str) -> None:
        payload = {"provider": provider, "error": error[:500]}
        key = f"provider_failed:{self.brief.stream_no}:{provider}"
        self._transcript.milestone("provider_failed", payload, key=key)
        if provider in {"hearing", "thinking"}:
            self.end_with(self._phrases.trouble, "provider_failed", EndedBy.SYSTEM)
        else:
            self._end(Ending(EndedBy.SYSTEM, "provider_failed"))

    # The end.

    async def _close(self, ending: Ending) -> None:
        talked = self._stage in {Stage.TALKING, Stage.GOODBYE}
        self._stage = Stage.OVER
        try:
            if self._line.ended.is_set():
                await self._act_on_last_words(talked)
            else:
                await self._hang_up()
            await self._tear_down()
        except Exception:  # noqa: BLE001 - it ends, and says so, whatever happened
            _log.exception("closing_failed", attempt_id=str(self.brief.attempt_id))
        finally:
            self._writer.add(lambda: self._write_closing(ending))
            await self._writer.drain()
            metrics.live_calls.dec()
            metrics.calls.labels(ending.ended_by, ending.reason).inc()

    async def _hang_up(self) -> None:
        """Commit that it ends, then close: whoever sees the socket close must know why."""
        brief, runtime = self.brief, self._kit.runtime
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await commit_hangup(runtime, brief.attempt_id, brief.stream_no)
        except Exception as error:  # noqa: BLE001 - whatever keeps Postgres from answering
            _log.warning("hangup_not_committed", error=repr(error))
            if self._line.start is not None:
                await runtime.carrier.end_call(self._line.start.call_sid)
        await self._line.close()
        self._pipeline.output.cut()

    async def _act_on_last_words(self, talked: bool) -> None:
        """The person has gone: hear the end of what they said, and do what it asks for."""
        self._pipeline.output.cut()
        if not talked:
            return
        deadline = time.monotonic() + self._kit.runtime.settings.closing_pass_seconds
        await self._pipeline.hearing.flush(LAST_WORDS_SECONDS)
        owed = self._pipeline.thinking.answering
        await self._tear_down()
        said = self._turns.last_words()
        messages = [dict(m) for m in self._pipeline.context.messages if isinstance(m, dict)]
        if said:
            messages.append({"role": "user", "content": said})
        if not messages or not (owed or messages[-1]["role"] in {"user", "tool"}):
            return
        await closing_pass(
            self._kit.services.groq,
            self._kit.services.model_of(self.brief.template),
            self._instruction,
            messages,
            self._tools,
            max(1.0, deadline - time.monotonic()),
        )

    async def _tear_down(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._runner is None or self._running is None:
            return
        runner, running = self._runner, self._running
        self._runner = self._running = None
        await runner.cancel(reason="the call is over")
        _, late = await asyncio.wait({running}, timeout=_TEARDOWN_SECONDS)
        for task in late:
            _log.error("pipeline_not_torn_down", attempt_id=str(self.brief.attempt_id))
            task.cancel()

    async def _write_closing(self, ending: Ending) -> None:
        await close_conversation(
            self._kit.runtime,
            self.brief.attempt_id,
            self.brief.stream_no,
            ended_by=ending.ended_by,
            reason=ending.reason,
            human_turns=self._transcript.human_turns,
        )
