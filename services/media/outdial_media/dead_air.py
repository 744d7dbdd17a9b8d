"""No dead air: while an answer takes its time, the person is told that somebody is there."""

import asyncio
import time
from collections.abc import Callable

GRACE_SECONDS = 0.7
"""A model that was asked a moment ago may answer before anything is said in between: the person
may have paused in mid-sentence, so that their last sound is some time ago."""

GAP_SECONDS = 2.0
"""Silence between two fillers."""

MOST = 6
"""Fillers for one answer; after that nobody will give it."""


class DeadAir:
    """Watches one call. An answer is owed from `owed` until it is heard, or not owed any more.

    `fill(number)` is called on the loop for each filler (0 first) and returns how many seconds it
    takes to say, or None where nothing should be said; `give_up` is called after the last one.
    """

    def __init__(
        self,
        after_seconds: float,
        fill: Callable[[int], float | None],
        give_up: Callable[[], None],
    ) -> None:
        self._after = after_seconds
        self._fill = fill
        self._give_up = give_up
        self._timer: asyncio.TimerHandle | None = None
        self._said = 0

    def owed(self, silent_since: float | None) -> None:
        """An answer is being made; the person has been silent since then (monotonic)."""
        if self._timer is not None:  # it already was: a tool has answered, the model goes on
            return
        now = time.monotonic()
        due = max((silent_since or now) + self._after, now + min(GRACE_SECONDS, self._after))
        self._said = 0
        self._wait(due - now)

    def over(self, *_: object) -> None:
        """The answer is heard, or the person speaks, or there is none to be given."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._due)

    def _due(self) -> None:
        if self._said >= MOST:
            self.over()
            self._give_up()
            return
        number, self._said = self._said, self._said + 1
        self._wait((self._fill(number) or 0.0) + GAP_SECONDS)
