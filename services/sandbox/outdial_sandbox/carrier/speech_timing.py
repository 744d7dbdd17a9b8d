"""When the bot was audible, and how long the person waited for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outdial_sandbox.people.behaviour import FRAME_SECONDS, Frame, Utterance

_AUDIBLE_PEAK = 300  # of 32767: below, it is comfort noise or a fade
_SAME_SPEECH = 0.5  # a pause shorter than this belongs to the speech around it


@dataclass
class Segment:
    """Speech, in seconds since the answer."""

    started: float
    ended: float


class BotSpeech:
    """Follows the energy of what is played to the person."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self._now = 0.0

    def add(self, played: Frame | None) -> None:
        """Take the next 20 ms; None is silence."""
        began, self._now = self._now, self._now + FRAME_SECONDS
        if played is None or int(np.abs(played.astype(np.int32)).max()) < _AUDIBLE_PEAK:
            return
        if self.segments and began - self.segments[-1].ended < _SAME_SPEECH:
            self.segments[-1].ended = self._now
        else:
            self.segments.append(Segment(began, self._now))


def voice_to_voice(said: Sequence[Utterance], bot: Sequence[Segment]) -> list[float]:
    """Seconds from a person's last audible moment to the bot's next first one.

    Counted for what waits for an answer: the bot was silent when the person finished, the person
    did not go on before the bot began, and the bot's first words (its greeting) answer nobody.
    """
    waits = []
    for number, utterance in enumerate(said):
        next_word = said[number + 1].started if number + 1 < len(said) else float("inf")
        answer = next((segment for segment in bot[1:] if segment.started >= utterance.ended), None)
        if answer is None or answer.started > next_word or utterance.intent == "backchannel":
            continue
        if not any(part.started < utterance.ended < part.ended for part in bot):
            waits.append(answer.started - utterance.ended)
    return waits
