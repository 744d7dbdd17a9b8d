"""What the person has heard of what we sent. Plain arithmetic; times are monotonic seconds."""

from collections import deque
from dataclasses import dataclass, field

from outdial_media.pauses import from_pause
from outdial_media.twilio_frames import SAMPLE_RATE

LEAD_SECONDS = 0.2
"""How far ahead of its playing sound is sent: the slack that keeps a busy loop from being heard."""

CHARACTERS_A_SECOND = 15.0
"""Roughly how fast voices read, for speech whose length is not known yet."""

SAID_AGAIN_SECONDS = 0.8
"""Speech that was held goes on from a pause at most so long before what was heard last."""

_TALKED_OVER_SECONDS = 0.15
"""Voice activity is noticed so late: what was played meanwhile was talked over."""

_KEPT_SECONDS = SAID_AGAIN_SECONDS + 2 * LEAD_SECONDS + 1.0
_BYTES_A_SECOND = 2 * SAMPLE_RATE


def seconds_of(pcm: bytes) -> float:
    """How long 16-bit PCM at 8 kHz takes to play."""
    return len(pcm) / _BYTES_A_SECOND


@dataclass
class Speech:
    """One turn of the agent's, as it goes out."""

    began: float  # when its first sound was sent
    seconds: float = 0.0  # how much was sent so far
    complete: bool = False  # whether all of it was sent
    latency_ms: int | None = None  # from the person's last sound to `began`
    timing: dict[str, int] = field(default_factory=dict)  # to each step before it, milliseconds
    held_since: float | None = None
    held_seconds: float = 0.0  # in which it was held, or said what had been heard once more

    def heard_at(self, now: float) -> float:
        """Seconds of it that were played by `now`."""
        until = now if self.held_since is None else self.held_since
        return max(0.0, min(self.seconds, until - self.began - self.held_seconds))

    def ended(self, heard: float) -> float:
        """When it came to its end, after `heard` seconds of it."""
        return self.began + self.held_seconds + heard

    def hold(self, now: float) -> None:
        """Nothing of it is played until it goes on."""
        if self.held_since is None:
            self.held_since = now

    def go_on(self, now: float, again: float) -> None:
        """It is played on, from `again` seconds before the place that it had come to."""
        if self.held_since is not None:
            self.held_seconds += now - self.held_since + again
            self.held_since = None


class Playback:
    """The carrier's buffer as we may know it: it plays at real time what we sent."""

    def __init__(self) -> None:
        self._played_until = 0.0
        self._kept: deque[bytes] = deque()  # the last sound that was sent
        self._kept_seconds = 0.0

    def sent(self, pcm: bytes, now: float) -> None:
        """Count sound that was sent."""
        seconds = seconds_of(pcm)
        self._played_until = max(self._played_until, now) + seconds
        self._kept.append(pcm)
        self._kept_seconds += seconds
        while self._kept_seconds - seconds_of(self._kept[0]) >= _KEPT_SECONDS:
            self._kept_seconds -= seconds_of(self._kept.popleft())

    def wait(self, now: float) -> float:
        """How long to wait before more is sent."""
        return max(0.0, self._played_until - now - LEAD_SECONDS)

    def take_back(self, now: float) -> tuple[bytes, float]:
        """Forget what was not played.

        Returns what is to be sent for it to go on, and how many seconds of that were played: it
        begins at a pause a little before, so that no word is lost that was talked over.
        """
        sound = b"".join(self._kept)
        unplayed = max(0.0, self._played_until - now)
        self.cleared()
        played = max(0, len(sound) - 2 * round(unplayed * SAMPLE_RATE))
        back = max(0, played - 2 * round(SAID_AGAIN_SECONDS * SAMPLE_RATE))
        near = max(0, played - back - 2 * round(_TALKED_OVER_SECONDS * SAMPLE_RATE))
        again = from_pause(sound[back:], near)
        return again, seconds_of(again) - seconds_of(sound[played:])

    def cleared(self) -> None:
        """Forget what was not played."""
        self._played_until = 0.0
        self._kept.clear()
        self._kept_seconds = 0.0

    def ends_at(self, now: float) -> float:
        """When all that was sent will have been played."""
        return max(self._played_until, now)


def characters_heard(text: str, heard_seconds: float, sent_seconds: float, complete: bool) -> int:
    """Characters of `text` that were heard. A voice reads evenly enough."""
    length = sent_seconds if complete else max(sent_seconds, len(text) / CHARACTERS_A_SECOND)
    if length <= 0 or heard_seconds <= 0:
        return 0
    return round(len(text) * min(1.0, heard_seconds / length))


def heard_part(text: str, heard_seconds: float, sent_seconds: float, complete: bool) -> str:
    """The words of `text` that were heard before the speech was cut off."""
    reach = characters_heard(text, heard_seconds, sent_seconds, complete)
    cut = text[:reach]
    if reach < len(text) and not text[reach].isspace():
        cut = cut.rpartition(" ")[0]  # a word that was cut in two was not heard
    return cut.strip()
