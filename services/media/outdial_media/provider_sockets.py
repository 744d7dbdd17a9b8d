"""Sockets to Deepgram are a limited resource of a pod: live calls come first (PROTOCOL.md 11).

An account has so many connections to listen and to speak at once; a pod is given its part of them.
A phone that rings gets its sockets ahead of the answer only while enough stay for calls that come
unprepared; else it is prepared without, and connects when it is answered.
"""

from dataclasses import dataclass, field
from uuid import UUID

from outdial.domain.call_template import Voice
from outdial_media import metrics

OF_A_CALL = 2
"""One to listen and one to speak."""


def sockets_of(voice: Voice) -> int:
    """How many sockets a call holds open at Deepgram; other services count their own."""
    return sum(isinstance(model, str) for model in (voice.stt, voice.tts))


@dataclass
class ProviderSockets:
    """Who holds how many. `limit` 0: as many as anybody wants."""

    limit: int
    _live: dict[UUID, int] = field(default_factory=dict)
    _prepared: dict[UUID, int] = field(default_factory=dict)

    @property
    def reserve(self) -> int:
        """What preparing leaves alone: calls move here, and lost connections are made anew."""
        return max(OF_A_CALL, self.limit // 10)

    @property
    def taken(self) -> int:
        """By live calls and by phones that ring."""
        return sum(self._live.values()) + sum(self._prepared.values())

    def slots(self, slots: int) -> int:
        """Of `slots`, as many as can all be live at once."""
        return min(slots, self.limit // OF_A_CALL) if self.limit else slots

    def prepare(self, attempt_id: UUID, count: int) -> bool:
        """Whether a phone that rings may connect ahead; then it holds `count`."""
        if self.limit and count and self.taken + count + self.reserve > self.limit:
            metrics.light_preparations.inc()
            return False
        self._prepared[attempt_id] = count
        self._tell()
        return True

    def go_live(self, attempt_id: UUID, count: int) -> list[UUID]:
        """A call is answered: it connects, whatever is prepared.

        Returns:
            Prepared attempts, the newest first, whose sockets have to be closed for it.

        """
        self._prepared.pop(attempt_id, None)
        self._live[attempt_id] = count
        too_many: list[UUID] = []
        while self.limit and self.taken > self.limit and self._prepared:
            too_many.append(self._prepared.popitem()[0])
        self._tell()
        return too_many

    def forget_prepared(self, attempt_id: UUID) -> None:
        """The phone is not waited for any more, and its sockets are closed."""
        self._prepared.pop(attempt_id, None)
        self._tell()

    def end(self, attempt_id: UUID) -> None:
        """The call is over, and its sockets are closed."""
        self._live.pop(attempt_id, None)
        self._tell()

    def _tell(self) -> None:
        metrics.provider_sockets.labels("live").set(sum(self._live.values()))
        metrics.provider_sockets.labels("prepared").set(sum(self._prepared.values()))
