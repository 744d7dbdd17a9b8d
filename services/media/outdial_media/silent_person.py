"""A person who says nothing: asked whether they are there, as often as the template says."""

from collections.abc import Callable, Sequence

from pipecat.processors.aggregators.llm_response_universal import UserTurnStoppedMessage

from outdial_media.person_turns import PersonTurns
from outdial_media.stages import Course
from outdial_media.voice import Voice


class SilentPerson:
    """Says one prompt a silence (`agent.idle.seconds`), then has the call ended."""

    def __init__(
        self,
        person: PersonTurns,
        prompts: Sequence[str],
        course: Course,
        voice: Voice,
        *,
        give_up: Callable[[], None],
    ) -> None:
        self._prompts = prompts
        self._course = course
        self._voice = voice
        self._give_up = give_up
        self._said = 0
        person.add_event_handler("on_user_turn_idle", self._on_idle)
        person.add_event_handler("on_user_turn_stopped", self._on_words)

    async def _on_idle(self, *_args: object) -> None:
        if not self._course.is_talking:
            return
        if self._said < len(self._prompts):
            self._said += 1
            await self._voice.say(self._prompts[self._said - 1])
        else:
            self._give_up()

    async def _on_words(self, _person: object, _by: object, turn: UserTurnStoppedMessage) -> None:
        if turn.content:  # noises alone are nobody, and do not keep a call alive
            self._said = 0
