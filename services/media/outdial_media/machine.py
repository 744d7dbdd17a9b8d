"""A machine answered: wait until it has finished, say the script, and know that it was recorded.

Nobody says anything meanwhile: from the moment it is known until the script, the agent is mute.
"""

import asyncio
from collections.abc import Awaitable, Callable

from pipecat.audio.vad.vad_analyzer import VADState

from outdial.domain.call_outcome import EndedBy
from outdial.operations.conversation_record import ConversationBrief, machine_verdict
from outdial.operations.runtime import Runtime
from outdial_media.pipeline import CallPipeline
from outdial_media.shared_models import SharedModels
from outdial_media.stages import Course, Ending, Stage
from outdial_media.transcript import Transcript
from outdial_media.twilio_frames import SAMPLE_RATE
from outdial_media.voice import Voice
from outdial_media.voice_activity import SharedSilero

SCRIPT_SECONDS = 90.0
SILENCE_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_ASK_EVERY = 5  # looks


class SilenceWatch:
    """How long the line has been silent since somebody (or something) spoke."""

    def __init__(self, detector: SharedSilero, *, has_spoken: bool) -> None:
        self._detector = detector
        self._detector.set_sample_rate(SAMPLE_RATE)
        self._has_spoken = has_spoken
        self._silent_samples = 0

    def hear(self, pcm: bytes) -> None:
        """20 ms of the line."""
        if self._detector.analyze(pcm) is VADState.SPEAKING:
            self._has_spoken = True
            self._silent_samples = 0
        else:
            self._silent_samples += len(pcm) // 2

    @property
    def seconds(self) -> float:
        """Zero until something was spoken."""
        return self._silent_samples / SAMPLE_RATE if self._has_spoken else 0.0


async def wait_for_its_end(
    watch: SilenceWatch, verdict: Callable[[], Awaitable[str | None]]
) -> None:
    """Return when the machine's announcement is over: by verdict, by silence, or by patience."""
    looks = round(LONGEST_WAIT_SECONDS / _LOOK_SECONDS)
    for look in range(looks):
        if look % _ASK_EVERY == 0 and (await verdict() or "").startswith("machine_end"):
            return
        if watch.seconds >= SILENCE_SECONDS:
            return
        await asyncio.sleep(_LOOK_SECONDS)


class MachineMessage:
    """The template's voicemail script on one call."""

    def __init__(
        self,
        runtime: Runtime,
        models: SharedModels,
        brief: ConversationBrief,
        course: Course,
        pipeline: CallPipeline,
        voice: Voice,
        transcript: Transcript,
    ) -> None:
        self._runtime = runtime
        self._models = models
        self._brief = brief
        self._course = course
        self._pipeline = pipeline
        self._voice = voice
        self._transcript = transcript

    def begin(self, *, has_spoken: bool) -> None:
        """Be mute, and leave it; `has_spoken`: the machine was heard already."""
        self._course.stage = Stage.MACHINE
        self._transcript.milestone("voicemail_begun")  # else the carrier speaks it in our place
        self._course.spawn(self._leave(has_spoken))

    async def _leave(self, has_spoken: bool) -> None:
        await self._voice.hush()
        self._pipeline.output.person_silent_since = None  # the script answers nobody
        detector = self._models.voice_activity(self._brief.template.turns)
        watch = SilenceWatch(detector, has_spoken=has_spoken)
        self._pipeline.input.tap = watch.hear
        runtime, attempt_id = self._runtime, self._brief.attempt_id
        await wait_for_its_end(watch, lambda: machine_verdict(runtime, attempt_id))
        self._pipeline.input.tap = None
        await self._voice.say(self._brief.voicemail_script, to_the_end=True)
        played = await self._voice.played(SCRIPT_SECONDS)
        if played:
            self._transcript.milestone("voicemail_left", key="voicemail_left")
        self._course.end(Ending(EndedBy.AGENT, "voicemail_left" if played else "machine"))
