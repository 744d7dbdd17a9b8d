"""What the agent says, as far as it is known: it comes to the output well before it is played."""

from collections import deque
from dataclasses import dataclass

from outdial_media.playback import characters_heard


@dataclass
class Saying:
    """One turn of the agent's.

    `whole`: as far as is known, all of its sound is there. `ended`: nothing more belongs to it.
    """

    text: str = ""
    seconds: float = 0.0
    whole: bool = False
    ended: bool = False


@dataclass(frozen=True)
class Said:
    """How much of it was heard, in seconds."""

    saying: Saying
    heard: float

    @property
    def position(self) -> int:
        """The character of the text that is reached."""
        saying = self.saying
        return characters_heard(saying.text, self.heard, saying.seconds, saying.whole)


class Sayings:
    """Turns in the order in which they come, until they were sent."""

    def __init__(self) -> None:
        self._waiting: deque[Saying] = deque()

    @property
    def current(self) -> Saying:
        """What is being sent now, or comes next."""
        return self._waiting[0] if self._waiting else Saying()

    def words(self, text: str) -> None:
        """Words have come."""
        coming = self._coming()
        coming.text = f"{coming.text} {text}".strip()
        coming.whole = False

    def sound(self, seconds: float) -> None:
        """Sound has come."""
        self._coming().seconds += seconds

    def voice_stopped(self) -> None:
        """The voice has said all that it was given: a turn's end is told much later."""
        if self._waiting:
            self._waiting[-1].whole = True

    def end(self) -> None:
        """A turn has come to its end."""
        coming = self._coming()
        coming.whole = coming.ended = True

    def sent(self) -> None:
        """The current turn was sent to its end."""
        if self._waiting:
            self._waiting.popleft()

    def forget(self) -> None:
        """What was to come is not said."""
        self._waiting.clear()

    def _coming(self) -> Saying:
        if not self._waiting or self._waiting[-1].ended:
            self._waiting.append(Saying())
        return self._waiting[-1]
