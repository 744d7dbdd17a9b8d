"""An answer that is made before its turn is over, and what waits until it is.

pipecat 1.14 asks the model with a copy of the context and holds the words back in the model's
service (`SpeculationGate`). Here is what else must not happen before: tools, failures, and what
the conversation is told of an answer.
"""

import asyncio
from collections.abc import Callable


class EagerAnswer:
    """One answer, until it is known whether its turn ended with the words that it answers."""

    def __init__(self) -> None:
        self._untold: list[Callable[[], None]] = []
        self._kept = asyncio.Event()
        self._released = self._recorded = False

    @property
    def waits(self) -> bool:
        """Whether it is not known yet."""
        return not self._kept.is_set()

    def tell(self, what: Callable[[], None]) -> None:
        """Tell the conversation, now or when the turn is over."""
        if self.waits:
            self._untold.append(what)
        else:
            what()

    def released(self) -> None:
        """The model's service lets its words go."""
        self._released = True
        self._settle()

    def recorded(self) -> None:
        """The person's turn stands in the context: what answers it comes after it."""
        self._recorded = True
        self._settle()

    async def is_kept(self) -> None:
        """Wait until it is; an answer that is thrown away is cancelled in the meantime."""
        await self._kept.wait()

    def _settle(self) -> None:
        if self._released and self._recorded and self.waits:
            self._kept.set()
            for what in self._untold:
                what()
            self._untold.clear()
