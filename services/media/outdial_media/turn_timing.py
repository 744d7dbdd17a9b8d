"""Where the time of one reply went, from the person's last sound to our first. Plain arithmetic."""

import time
from collections.abc import Callable
from typing import Literal

Step = Literal["final_transcript", "first_token", "first_audio", "first_byte_sent"]


class TurnTiming:
    """Notes when each step of a reply was reached; monotonic seconds.

    The last transcript counts (it completes what was said), and the first of everything else.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reached: dict[Step, float] = {}

    def person_speaks(self) -> None:
        """A new turn: what was reached belongs to the one before."""
        self._reached.clear()

    def reached(self, step: Step) -> None:
        """A step was reached now."""
        if step == "final_transcript" or step not in self._reached:
            self._reached[step] = self._clock()

    def since(self, end_of_speech: float) -> dict[Step, int]:
        """Milliseconds from the person's last sound to each step, and begin anew."""
        steps = {step: round(1000 * (when - end_of_speech)) for step, when in self._reached.items()}
        self._reached.clear()
        return {step: milliseconds for step, milliseconds in steps.items() if milliseconds >= 0}
