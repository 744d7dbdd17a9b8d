"""How a conversation begins: with the greeting (made while the phone rang), or as told."""

import structlog

from outdial.domain.phrases import phrases_for
from outdial.operations.conversation_record import ConversationBrief
from outdial_media.instructions import earlier_messages
from outdial_media.pipeline import CallPipeline
from outdial_media.spare_voice import VoiceLost
from outdial_media.speech_services import SpeechServices
from outdial_media.voice import Voice

_log = structlog.get_logger(__name__)


class Opening:
    """The first words of one call, or of its going on: after a lost stream, or a dial in vain."""

    def __init__(
        self,
        services: SpeechServices,
        brief: ConversationBrief,
        pipeline: CallPipeline,
        voice: Voice,
    ) -> None:
        self._services = services
        self._brief = brief
        self._pipeline = pipeline
        self._voice = voice
        self._greeting: bytes | None = None

    async def prepare(self) -> None:
        """Have the greeting spoken ahead, if there will be one."""
        agent = self._brief.template.agent
        if self._greeting or agent.first_turn != "agent" or self._brief.history:
            return
        try:
            self._greeting = await self._services.spoken_ahead(
                self._brief.template, self._brief.greeting
            )
        except VoiceLost as error:  # the voice of the pipeline may still work
            _log.warning("greeting_not_made", error=repr(error))

    async def speak(self) -> None:
        """Begin."""
        if self._brief.history:
            self._pipeline.context.add_messages(earlier_messages(self._brief))
            await self._voice.say(self._back_again())
            if self._brief.history[-1].role == "person" and not self._brief.nobody_came:
                await self._voice.let_model_speak()  # the lost pod owed an answer
        elif self._brief.template.agent.first_turn == "model":
            await self._voice.let_model_speak()
        elif self._brief.template.agent.first_turn == "agent":
            await self._greet()

    def _back_again(self) -> str:
        """Why the agent was away for a moment."""
        phrases = phrases_for(self._brief.template.language)
        if self._brief.nobody_came:
            return self._brief.transfer_fallback or phrases.nobody_came
        return phrases.resumed

    async def _greet(self) -> None:
        if self._greeting:
            await self._voice.play(self._brief.greeting, self._greeting)
        else:
            await self._voice.say(self._brief.greeting)
