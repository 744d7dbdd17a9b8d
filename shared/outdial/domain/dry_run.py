"""When each waiting lead can be called, if all goes well, and why not now: nothing is dialed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outdial.domain.call_template import Hours, Limits
from outdial.domain.calling_hours import Window, is_limited, was_open_before, window_at
from outdial.domain.dial_gates import Reason, Refused
from outdial.domain.limits import NumberPast, within_number_limits

WAITS = "waits_for_its_time"
"""A cooldown, or a time that the person asked for."""

EXPIRES_FIRST = "expires_first"
NEVER_OPEN = "never_open"

_MOST_WINDOWS = 60
_MOST_TURNS = 8  # between hours and limits, until both allow


@dataclass(frozen=True)
class WaitingLead:
    """What the rules need of one lead and the contact who is called next."""

    zones: tuple[str, ...]
    due_at: datetime
    refused: bool = False  # a gate set `due_at`, not the retry policy
    not_before: datetime | None = None
    expires_at: datetime | None = None
    held: bool = False
    suppressed: bool = False
    busy: bool = False
    asked_for: bool = False
    past: NumberPast | None = None


@dataclass(frozen=True)
class Finding:
    """Why a lead cannot be called now (None: it can), and from when on (None: never).

    `until` is when that reason ends, where it is the same for many; `closes_at` when the window
    closes in which the call falls.
    """

    reason: str | None
    at: datetime | None
    until: datetime | None = None
    closes_at: datetime | None = None


class Openings:
    """The windows of some hours from one moment on, found once for each set of zones."""

    def __init__(self, hours: Hours, now: datetime) -> None:
        self.hours = hours
        self._now = now
        self._windows: dict[tuple[str, ...], list[Window]] = {}

    def at(self, zones: tuple[str, ...], moment: datetime) -> Window | None:
        """The window that is open at `moment`, or the next one after it."""
        if not is_limited(self.hours):
            return window_at(self.hours, zones, moment)
        windows = self._windows.setdefault(zones, [])
        while len(windows) < _MOST_WINDOWS:
            for window in windows[-1:]:
                if window.closes_at is None or moment < window.closes_at:
                    return self._among(windows, moment)
            after = windows[-1].closes_at if windows else self._now
            found = window_at(self.hours, zones, after or self._now)
            if found is None:
                break
            windows.append(found)
        return window_at(self.hours, zones, moment)

    @staticmethod
    def _among(windows: Sequence[Window], moment: datetime) -> Window:
        return next(one for one in windows if one.closes_at is None or moment < one.closes_at)

    def deciding_zone(self, zones: Sequence[str], opening: datetime) -> str | None:
        """The zone for which everybody waits at an opening."""
        return next(
            (zone for zone in zones if not was_open_before(self.hours, zone, opening)), None
        )


def first_moment(lead: WaitingLead, openings: Openings, limits: Limits, now: datetime) -> Finding:
    """When a lead can be called at the earliest, and why not now."""
    if (never := _why_never(lead, now)) is not None:
        return Finding(never, None)
    window = openings.at(lead.zones, now)
    if window is None:
        return Finding(NEVER_OPEN if lead.zones else Reason.TIMEZONE_UNKNOWN, None)
    earliest = max(now, lead.due_at, lead.not_before or now)
    at, closes_at = _open_at(lead, openings, limits, earliest)
    if at is None:
        return Finding(NEVER_OPEN, None)
    if lead.expires_at is not None and at >= lead.expires_at:
        return Finding(EXPIRES_FIRST, None)
    reason, until = _why_not_now(lead, window, limits, now)
    return Finding(reason, at, until, closes_at)


def _why_never(lead: WaitingLead, now: datetime) -> Reason | None:
    """What time alone does not change."""
    if lead.expires_at is not None and lead.expires_at <= now:
        return Reason.EXPIRED
    if lead.held:
        return Reason.HELD
    return Reason.SUPPRESSED if lead.suppressed else None


def _open_at(
    lead: WaitingLead, openings: Openings, limits: Limits, moment: datetime
) -> tuple[datetime | None, datetime | None]:
    """The first moment from `moment` on that hours and limits allow, and when its window closes."""
    for _ in range(_MOST_TURNS):
        window = openings.at(lead.zones, moment)
        if window is None:
            return None, None
        moment = max(moment, window.opens_at)
        verdict = within_number_limits(limits, lead.past, moment, asked_for=lead.asked_for)
        if not isinstance(verdict, Refused):
            return moment, window.closes_at
        moment = verdict.not_before
    return None, None


def _why_not_now(
    lead: WaitingLead, window: Window, limits: Limits, now: datetime
) -> tuple[str | None, datetime | None]:
    waits = lead.due_at > now
    if lead.not_before is not None and lead.not_before > now:
        return Reason.NOT_YET, None
    if waits and not lead.refused:
        return WAITS, None
    if window.opens_at > now:
        return Reason.OUTSIDE_HOURS, window.opens_at
    verdict = within_number_limits(limits, lead.past, now, asked_for=lead.asked_for)
    if isinstance(verdict, Refused):
        return verdict.reason, None
    if lead.busy:
        return Reason.NUMBER_BUSY, None
    return (WAITS if waits else None), None
