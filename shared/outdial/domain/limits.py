"""How many calls may be live at once. Counted under the account's lock, so that the count holds."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from outdial.domain.dial_gates import Allowed, Reason, Refused, Verdict

_ROOM_MAY_COME = timedelta(seconds=5)


@dataclass(frozen=True)
class LiveCalls:
    """Calls that are live, against what is allowed (None: no limit of its own)."""

    in_all: int
    in_campaign: int
    max_in_all: int
    max_in_campaign: int | None = None

    @property
    def room(self) -> int:
        """How many more calls may be live."""
        room = self.max_in_all - self.in_all
        if self.max_in_campaign is not None:
            room = min(room, self.max_in_campaign - self.in_campaign)
        return max(0, room)


def within_live_limits(live: LiveCalls, now: datetime) -> Verdict:
    """There is room for one more call, in the deployment and in the campaign."""
    if live.in_all >= live.max_in_all:
        return Refused(Reason.LIVE_LIMIT, now + _ROOM_MAY_COME)
    if live.room == 0:
        return Refused(Reason.CAMPAIGN_LIVE_LIMIT, now + _ROOM_MAY_COME)
    return Allowed()
