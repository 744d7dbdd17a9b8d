"""What a tool gives back, and what it may do to the call in which it was called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class ToolResult:
    """What the model is told, and whether it should go on speaking because of it."""

    answer: Mapping[str, Any]
    run_model: bool = True


class Call(Protocol):
    """What a tool may do to the call in which it was called."""

    def said_since_person(self) -> bool:
        """Whether the agent has said anything since the person's last words."""

    def end_with(self, farewell: str | None, reason: str) -> None:
        """Say `farewell` (None: what was said suffices) and hang up."""

    async def say(self, text: str) -> None:
        """Say something beside the model's own answers; nothing when nobody listens any more."""

    def cover_wait(self, text: str) -> None:
        """A tool takes its time: say `text` (empty: something) if the person waits for long."""

    async def press(self, digits: str) -> None:
        """Send the tones of keys down the line."""

    async def reach_machine(self) -> None:
        """Leave the message, or hang up: whatever the template says."""

    async def put_through(self, announcement: str | None) -> bool:
        """Commit that a human takes over, say so and leave; False if something else was decided."""
