"""Nobody does a provider's work: the call says so, and ends. The lead is tried again."""

from pipecat.frames.frames import ErrorFrame

from outdial.domain.call_outcome import EndedBy
from outdial.operations.conversation_record import ConversationBrief
from outdial.operations.runtime import Runtime
from outdial_media.covered_waits import CoveredWaits
from outdial_media.last_words import GOODBYE_SECONDS, say_by_carrier
from outdial_media.pipeline import CallPipeline
from outdial_media.pipeline_run import PipelineRun
from outdial_media.provider_trouble import ProviderTrouble, Trouble
from outdial_media.stages import Course, Ending, Stage
from outdial_media.telephone_line import TelephoneLine
from outdial_media.transcript import Transcript
from outdial_media.voice import Voice


class GivingUp:
    """Listens to the errors of one call's pipeline and ends the call with those that end it."""

    def __init__(
        self,
        runtime: Runtime,
        brief: ConversationBrief,
        line: TelephoneLine,
        course: Course,
        pipeline: CallPipeline,
        run: PipelineRun,
        voice: Voice,
        waits: CoveredWaits,
        transcript: Transcript,
    ) -> None:
        self._runtime = runtime
        self._brief = brief
        self._line = line
        self._course = course
        self._run = run
        self._voice = voice
        self._waits = waits
        self._transcript = transcript
        self._trouble = ProviderTrouble(pipeline)
        self._early: Trouble | None = None
        self.has_begun = False
        """Whether the last words are others than those that were meant."""
        waits.on_nobody = self.because
        pipeline.worker.add_event_handler("on_pipeline_error", self._on_error)

    @property
    def lost_early(self) -> Trouble | None:
        """What failed before the call had begun."""
        if not self._run.has_started:
            return Trouble("pipeline", "it did not start")
        return self._early

    def because(self, trouble: Trouble) -> None:
        """Record it, and say the last words in their provider's place."""
        payload = {"provider": trouble.provider, "error": trouble.error[:500]}
        key = f"provider_failed:{self._brief.stream_no}:{trouble.provider}"
        self._transcript.milestone("provider_failed", payload, key=key)
        self._waits.over()
        course, voice_lost = self._course, trouble.provider == "speaking"
        on_their_way = course.stage is Stage.GOODBYE and not voice_lost
        if self.has_begun or on_their_way:
            return  # the last words need nobody else
        course.stage, self.has_begun = Stage.GOODBYE, True
        parting = course.meant is not None
        course.meant = course.meant or Ending(EndedBy.SYSTEM, "provider_failed")
        text = self._waits.farewell if parting else self._waits.apology
        course.spawn(self._say_last(text, course.meant, voice_lost=voice_lost))

    async def _on_error(self, _worker: object, frame: ErrorFrame) -> None:
        trouble = self._trouble.weigh(frame)
        if trouble is None or self._course.stage is Stage.OVER:
            return
        if self._course.stage is Stage.WAITING:
            self._early = self._early or trouble
        else:
            self.because(trouble)

    async def _say_last(self, text: str, ending: Ending, *, voice_lost: bool) -> None:
        can_speak = self._run.has_started
        if await self._waits.say_last(text, can_speak=can_speak, voice_lost=voice_lost):
            await self._voice.played(GOODBYE_SECONDS)
        else:
            await say_by_carrier(self._runtime, self._brief, self._line.start, text)
        self._course.end(ending)
