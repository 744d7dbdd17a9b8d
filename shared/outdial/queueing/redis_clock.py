"""Redis' clock, as seen from a process that can only ask it now and then. Pure."""

import math

# By how much two clocks that are kept to the right time part from each other, at most.
_MOST_DRIFT = 0.0005


class RedisClock:
    """Tells moments of Redis' clock (Unix seconds) in ours (monotonic seconds), and back.

    An answer was made somewhere between the question and its coming, on full cores 50 ms later.
    What all answers say together is known within the quickest of them.
    """

    def __init__(self) -> None:
        self._least, self._most = -math.inf, math.inf  # by how much theirs is ahead of ours
        self._noted = 0.0

    def known_within(self, now: float) -> float:
        """By how much it may be wrong at most, `now` (ours); seconds."""
        return (self._most - self._least) / 2 + _MOST_DRIFT * (now - self._noted)

    def note(self, asked: float, answered: float, theirs: float) -> None:
        """Redis' clock showed `theirs` at some moment from `asked` to `answered`."""
        drift = _MOST_DRIFT * (answered - self._noted)
        least, most = theirs - answered, theirs - asked
        # Else it is another Redis, or its clock was set: what was known holds no longer.
        if self._least - drift <= most and least <= self._most + drift:
            least, most = max(least, self._least - drift), min(most, self._most + drift)
        self._least, self._most, self._noted = least, most, answered

    def ours(self, theirs: float) -> float:
        """Our clock at that moment of theirs."""
        return theirs - (self._least + self._most) / 2

    def theirs(self, ours: float) -> float:
        """Redis' clock at that moment of ours."""
        return ours + (self._least + self._most) / 2
