"""When a pod looks for garbage: with no calls, and otherwise a little at a time.

Looking stops the loop for all calls, 0.6 us an object: a call has some 2,300, so a look at thirty
calls takes 40 ms, and so it did whenever 25 had ended. Now a call that is over is taken apart
(`taken_apart.py`) and freed without a look, and Python's own looks see only what is new.
"""

import gc
from typing import Any

NEVER = 1_000_000
YOUNG = (500, 2, NEVER)
"""For `gc.set_threshold`: new objects are looked at often, so that each look is short; those that
outlived three looks, which live calls are made of, never while there are calls."""

MOST_ENDED = 500
"""Calls that may end while others go on before all is looked at. What is left of one (a hundred
objects of libraries: tracebacks, statements) takes about 20 KB."""

FIRST_PAUSES = 3
"""The first calls load and fill what all later ones use; after so many pauses it is all there."""


class Garbage:
    """Decides for one process; `collector` is the `gc` module."""

    def __init__(self, collector: Any = gc) -> None:
        self._gc = collector
        self._ended = self._pauses = 0

    def start(self) -> None:
        """Everything is loaded, and there are no calls yet."""
        self._settle()
        self._gc.set_threshold(*YOUNG)

    def call_ended(self) -> None:
        """A call is over, and others go on."""
        self._ended += 1
        if self._ended >= MOST_ENDED:
            self._ended = 0
            self._gc.collect()

    def pause(self) -> None:
        """There are no calls, nor anything of one."""
        self._ended = 0
        self._pauses += 1
        if self._pauses <= FIRST_PAUSES:
            self._settle()
        else:
            self._gc.collect()

    def _settle(self) -> None:
        """What is there now stays: the collector need not look through it again."""
        self._gc.collect()
        self._gc.freeze()
