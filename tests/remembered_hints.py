"""Hints that are remembered and not published."""

from collections.abc import Sequence
from uuid import UUID

from outdial.queueing.hints import Hints
from outdial.settings import Settings


class RememberedHints(Hints):
    """What was hinted at, in this order."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.dispatched = 0
        self.placed: list[UUID] = []
        self.settled: list[UUID] = []

    def dispatch(self) -> None:
        self.dispatched += 1

    def place(self, attempt_ids: Sequence[UUID]) -> None:
        self.placed += attempt_ids

    def settle(self, attempt_id: UUID) -> None:
        self.settled.append(attempt_id)
