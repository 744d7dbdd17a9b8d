"""How many calls may be live at once, and how often one number may be called.

Live calls are counted under the account's lock and calls to a number under the number's, so that
both counts hold at the moment that matters.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from outdial.domain.call_template import Limits
from outdial.domain.dial_gates import SOON, Allowed, Reason, Refused, Verdict

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
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


@dataclass(frozen=True)
class NumberPast:
    """What one number has been through, in every campaign."""

    dialed: tuple[datetime, ...] = ()  # spent attempts of the last seven days, in order
    spoken_at: datetime | None = None  # the end of the last conversation


def strictest(limits: Iterable[Limits]) -> Limits:
    """Limits that keep all of these."""
    every = list(limits)
    rests = [one.rest_days_after_conversation for one in every]
    return Limits(
        attempts_per_day=min(_given(one.attempts_per_day for one in every), default=None),
        attempts_per_week=min(_given(one.attempts_per_week for one in every), default=None),
        rest_days_after_conversation=max((days for days in rests if days), default=None),
    )


def looks_back(limits: Limits) -> timedelta | None:
    """How far into a number's past these limits look; None: not at all."""
    spans = [timedelta(days=limits.rest_days_after_conversation or 0)]
    if limits.attempts_per_day is not None or limits.attempts_per_week is not None:
        spans.append(WEEK)
    return max(spans) or None


def within_number_limits(
    limits: Limits, past: NumberPast | None, now: datetime, *, asked_for: bool = False
) -> Verdict:
    """The number has not been called too often, nor too soon after a conversation.

    `past` None (nobody could say) refuses, where there is a limit. `asked_for`: the person asked to
    be called at this time, so that they do not rest; how often they are called still counts.
    """
    if looks_back(limits) is None:
        return Allowed()
    if past is None:
        return Refused(Reason.NUMBER_DAY_LIMIT, now + SOON)
    rest = timedelta() if asked_for else timedelta(days=limits.rest_days_after_conversation or 0)
    rested = past.spoken_at + rest if past.spoken_at else now
    closed = [
        Refused(reason, opens)
        for reason, opens in (
            (Reason.NUMBER_DAY_LIMIT, _room_at(past.dialed, limits.attempts_per_day, DAY, now)),
            (Reason.NUMBER_WEEK_LIMIT, _room_at(past.dialed, limits.attempts_per_week, WEEK, now)),
            (Reason.RESTING, rested),
        )
        if opens > now
    ]
    return max(closed, key=lambda refused: refused.not_before, default=Allowed())


def _room_at(
    dialed: Sequence[datetime], most: int | None, span: timedelta, now: datetime
) -> datetime:
    """When fewer than `most` calls lie within a span before it: `now`, or a moment to come."""
    within = [at for at in dialed if at > now - span]
    if most is None or len(within) < most:
        return now
    return within[len(within) - most] + span


def _given(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]
