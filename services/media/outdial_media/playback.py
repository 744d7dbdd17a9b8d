"""What the person has heard of what we sent. Plain arithmetic; times are monotonic seconds."""

from dataclasses import dataclass, field

LEAD_SECONDS = 0.2
"""How far ahead of its playing sound is sent: the slack that keeps a busy loop from being heard."""

CHARACTERS_A_SECOND = 15.0
"""Roughly how fast voices read, for speech whose length is not known yet."""


@dataclass
class Speech:
    """One turn of the agent's, as it goes out."""

    began: float  # when its first sound was sent
    seconds: float = 0.0  # how much was sent so far
    complete: bool = False  # whether all of it was sent
    latency_ms: int | None = None  # from the person's last sound to `began`
    timing: dict[str, int] = field(default_factory=dict)  # to each step before it, milliseconds

    def heard_at(self, now: float) -> float:
        """Seconds of it that were played by `now`."""
        return max(0.0, min(self.seconds, now - self.began))


class Playback:
    """The carrier's buffer as we may know it: it plays at real time what we sent."""

    def __init__(self) -> None:
        self._played_until = 0.0

    def sent(self, seconds: float, now: float) -> float:
        """Count sound that was sent; returns how long to wait before sending more."""
        self._played_until = max(self._played_until, now) + seconds
        return max(0.0, self._played_until - now - LEAD_SECONDS)

    def cleared(self) -> None:
        """Forget what was not played."""
        self._played_until = 0.0

    def ends_at(self, now: float) -> float:
        """When all that was sent will have been played."""
        return max(self._played_until, now)


def heard_part(text: str, heard_seconds: float, sent_seconds: float, complete: bool) -> str:
    """The words of `text` that were heard before the speech was cut off.

    A voice reads evenly enough: the cut falls at the word that the share of time points at.
    """
    length = sent_seconds if complete else max(sent_seconds, len(text) / CHARACTERS_A_SECOND)
    if length <= 0 or heard_seconds <= 0:
        return ""
    share = min(1.0, heard_seconds / length)
    if share >= 1.0:
        return text.strip()
    reach = round(len(text) * share)
    cut = text[:reach]
    if reach < len(text) and not text[reach].isspace():
        cut = cut.rpartition(" ")[0]  # a word that was cut in two was not heard
    return cut.strip()
