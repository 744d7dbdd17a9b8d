"""From the pipeline's events to the record: who said what, when, and how much of it was heard."""

import time
from collections.abc import Callable

from pipecat.frames.frames import TranscriptionFrame
from pipecat.processors.aggregators.llm_response_universal import (
    AssistantTurnStoppedMessage,
    UserTurnStoppedMessage,
)

from outdial_media import metrics
from outdial_media.pipeline import CallPipeline
from outdial_media.playback import Speech, heard_part
from outdial_media.telephone_line import TelephoneLine
from outdial_media.transcript import Transcript
from outdial_media.turn_timing import TurnTiming


class TurnRecord:
    """Listens to a call's pipeline and keeps its transcript and the model's context true."""

    def __init__(self, pipeline: CallPipeline, line: TelephoneLine, transcript: Transcript) -> None:
        self._pipeline = pipeline
        self._line = line
        self._transcript = transcript
        self._timing = TurnTiming()
        self._agent_was_heard = False
        self._person_was_heard = False
        self.agent_spoke = False
        """Whether the agent has said anything since the person's last words."""
        self.on_audible: Callable[[], None] = lambda: None
        """The agent begins to be heard."""
        pipeline.output.on_speech = self._on_speech
        pipeline.output.on_person = self._on_person
        pipeline.speaking.on_sound = lambda: self._timing.reached("first_audio")
        pipeline.turn_start.on_passed_over = self._on_passed_over
        pipeline.hearing.on_heard = self._on_heard
        pipeline.thinking.on_text = self._on_text
        pipeline.person.add_event_handler("on_user_turn_stopped", self._on_person_turn)
        pipeline.agent.add_event_handler("on_assistant_turn_stopped", self._on_agent_turn)

    def last_words(self) -> str:
        """What the person said without its becoming a turn; recorded as their last one, once."""
        text = self._transcript.unanswered
        self._transcript.person_turn(text)
        return text

    def _on_speech(self, speech: Speech) -> None:
        self.on_audible()
        self._timing.reached("first_byte_sent")
        if speech.latency_ms is not None:
            metrics.reply.observe(speech.latency_ms / 1000)
            ended = time.monotonic() - speech.latency_ms / 1000
            for step, milliseconds in self._timing.since(ended).items():
                speech.timing[step] = milliseconds
                metrics.turn_steps.labels(step).observe(milliseconds / 1000)
            self._transcript.trace_reply(speech.latency_ms, speech.timing)
        if not self._agent_was_heard:
            self._agent_was_heard = True
            seconds = time.monotonic() - self._line.started_at
            metrics.first_audio.observe(seconds)
            self._transcript.milestone("first_audio_sent", {"ms": round(1000 * seconds)})

    def _on_heard(self, frame: TranscriptionFrame) -> None:
        self._timing.reached("final_transcript")
        if frame.text.strip() and not self._person_was_heard:
            self._person_was_heard = True
            milliseconds = round(1000 * (time.monotonic() - self._line.started_at))
            self._transcript.milestone("first_words_heard", {"ms": milliseconds})
        self._transcript.heard(frame)

    def _on_person(self, speaking: bool, when: float) -> None:
        if speaking:
            self._timing.person_speaks()
        self._transcript.person_spoke(speaking, when)

    def _on_passed_over(self, text: str) -> None:
        self._pipeline.output.person_silent_since = None  # what is said next answers nobody
        self._transcript.backchannel(text)

    def _on_text(self, text: str) -> None:
        if text.strip():
            self._timing.reached("first_token")
            self.agent_spoke = True

    async def _on_person_turn(
        self, _aggregator: object, _strategy: object, message: UserTurnStoppedMessage
    ) -> None:
        if message.content:
            self.agent_spoke = False
        self._transcript.person_turn(message.content or "")
        self._pipeline.thinking.turn_is_recorded()

    async def _on_agent_turn(
        self, _aggregator: object, message: AssistantTurnStoppedMessage
    ) -> None:
        text = message.content or ""
        if not (message.interrupted or self._line.ended.is_set()):
            speech = self._pipeline.output.finished_speech() if text else None
            latency = speech.latency_ms if speech else None
            self._transcript.agent_turn(text, speech, latency_ms=latency)
            return
        speech, seconds = self._pipeline.output.cut_speech()
        heard = heard_part(text, seconds, speech.seconds, speech.complete) if speech else ""
        self._correct_context(text, heard)
        self._transcript.agent_turn(
            heard,
            speech,
            interrupted=True,
            heard_seconds=seconds,
            latency_ms=speech.latency_ms if speech else None,
        )

    def _correct_context(self, said: str, heard: str) -> None:
        """Let the model remember what was heard, not what it meant to say."""
        messages = self._pipeline.context.messages
        for index in range(len(messages) - 1, -1, -1):
            message = messages[index]
            if isinstance(message, dict) and message.get("content") == said:
                if message.get("role") == "assistant":
                    message["content"] = f"{heard}…" if heard else "…"
                return
