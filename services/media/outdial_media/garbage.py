"""When a pod looks for garbage: between calls, and not in the middle of everybody's.

A look at everything stops the loop for 0.1 s and more with thirty calls, and Python's defaults look
whenever some three calls' worth of objects has come: a tenth of what a pod did.
"""

import gc
from typing import Any

YOUNG = (5_000, 10, 20)
"""For `gc.set_threshold`: new objects are looked at often, all of them when very many have come."""

MOST_ENDED = 25
"""Calls that may end before their garbage (2 MB each) is looked for beside those that go on."""

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
