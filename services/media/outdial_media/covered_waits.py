"""What one call says when a provider keeps it waiting, from sound that was made ahead of time.

Fillers while an answer takes its time, and the apology when none will come: both are spoken with
every provider gone.
"""

import asyncio
from collections.abc import Callable

from outdial.domain.phrases import phrases_for
from outdial.operations.conversation_record import ConversationBrief
from outdial_media import metrics
from outdial_media.dead_air import DeadAir
from outdial_media.pipeline import CallPipeline
from outdial_media.provider_trouble import Trouble
from outdial_media.speech_services import SpeechServices
from outdial_media.transcript import Transcript
from outdial_media.turn_record import TurnRecord
from outdial_media.twilio_frames import SAMPLE_RATE
from outdial_media.voice import Voice

HUSHED_SECONDS = 0.5
"""How long an interruption may take through the pipeline."""

_REPLACED = "provider_replaced"


class CoveredWaits:
    """Watches that a call is never silent for long, and records who was replaced by whom."""

    def __init__(
        self,
        services: SpeechServices,
        brief: ConversationBrief,
        pipeline: CallPipeline,
        voice: Voice,
        turns: TurnRecord,
        transcript: Transcript,
        *,
        wanted: Callable[[], bool],
    ) -> None:
        template = brief.template
        phrases, patience = phrases_for(template.language), template.patience
        self.apology = patience.apology or phrases.trouble
        self.farewell = phrases.goodbye
        """Said when the voice is lost in its last words: what was agreed stands."""
        self._fillers = (patience.filler,) if patience.filler else phrases.fillers
        self._services = services
        self._template = template
        self._pipeline = pipeline
        self._voice = voice
        self._transcript = transcript
        self._wanted = wanted
        self._filling: set[asyncio.Task[None]] = set()
        self._own = ""  # what the tool at work would have said
        self._replaced = 0
        self._stream_no = brief.stream_no
        self.on_nobody: Callable[[Trouble], None] = lambda _trouble: None
        """Nobody will give the answer that is owed."""
        self._air = DeadAir(patience.filler_after_ms / 1000, self._fill, self._nobody)
        self.over = self._air.over
        """No answer is owed (any more)."""
        turns.on_audible = self._air.over
        pipeline.thinking.on_begin = self._owed
        pipeline.thinking.on_silent = self._air.over
        pipeline.thinking.route.on_failure = lambda model, error: self._note(
            "thinking", f"{model}: {error}"
        )
        pipeline.hearing.on_replaced = lambda error: self._note("hearing", error)
        pipeline.speaking.on_replaced = lambda error: self._note("speaking", error)
        pipeline.person.add_event_handler("on_user_turn_started", self._on_person)

    def prepare(self) -> None:
        """Have the sounds made; most calls of a template find them made already."""
        for text in (self.apology, self.farewell, *self._fillers):
            self._services.make_ahead(self._template, text)

    async def say_last(self, text: str, *, can_speak: bool, voice_lost: bool) -> bool:
        """Say `text` in place of what cannot be said; False when not even that can be."""
        pcm = self._services.kept(self._template, text)
        if not can_speak or (pcm is None and not self._pipeline.speaking.is_usable):
            return False
        if voice_lost:
            # Words without a sound were not heard: their turn ends here, and they are not in it.
            await self._voice.hush()
            await self._voice.played(HUSHED_SECONDS)  # or the interruption would cut what follows
        if pcm is not None:
            await self._voice.play(text, pcm, to_the_end=True)
        else:
            await self._voice.say(text, to_the_end=True)
        return True

    def cover(self, text: str) -> None:
        """A tool is at work: an answer is owed again, and `text` (if any) is said first."""
        if text:
            self._services.make_ahead(self._template, text)
        self._air.over()
        self._owed()
        self._own = text

    async def _on_person(self, *_args: object) -> None:
        self._air.over()

    def _nobody(self) -> None:
        self.on_nobody(Trouble("pipeline", "an answer was owed, and none came"))

    def _owed(self) -> None:
        self._own = ""
        self._air.owed(self._pipeline.output.person_silent_since)

    def _fill(self, number: int) -> float | None:
        fillers = (self._own, *self._fillers) if self._own else self._fillers
        text = fillers[number % len(fillers)]
        pcm = self._services.kept(self._template, text)
        if pcm is None or not self._wanted():
            return None
        metrics.fillers.inc()
        self._keep(asyncio.create_task(self._voice.fill(pcm)))
        seconds = len(pcm) / (2 * SAMPLE_RATE)
        self._transcript.filler(text, seconds)
        return seconds

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._filling.add(task)
        task.add_done_callback(self._filling.discard)

    def _note(self, provider: str, error: str) -> None:
        """Somebody else does the work now: a fact that changes nothing else."""
        metrics.provider_replacements.labels(provider).inc()
        self._replaced += 1
        self._transcript.milestone(
            _REPLACED,
            {"provider": provider, "error": error[:500]},
            key=f"{_REPLACED}:{self._replaced}:{self._stream_no}",
        )
