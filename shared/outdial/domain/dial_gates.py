"""May this lead be dialed now? Each gate answers `Allowed`, or `Refused` and when to look again.

A gate that cannot know refuses. The gate on hours is `calling_hours.allowed`, those on limits are
in `limits`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LOOK_AGAIN = timedelta(days=1)
"""For what only an operator can change; the lead stays visible with its reason until then."""

SOON = timedelta(seconds=30)


class Reason(StrEnum):
    """Why a lead was not dialed."""

    CAMPAIGN_NOT_RUNNING = "campaign_not_running"
    HELD = "held"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    OUTSIDE_HOURS = "outside_hours"
    TIMEZONE_UNKNOWN = "timezone_unknown"
    LIVE_LIMIT = "live_limit"
    CAMPAIGN_LIVE_LIMIT = "campaign_live_limit"
    NUMBER_BUSY = "number_busy"  # a live call to the same number, lead or branch
    NUMBER_DAY_LIMIT = "number_day_limit"  # called often enough within 24 hours
    NUMBER_WEEK_LIMIT = "number_week_limit"
    RESTING = "resting"  # spoken with some days ago
    NO_CALLER_NUMBER = "no_caller_number"
    CALLER_NUMBERS_BUSY = "caller_numbers_busy"  # all rest, or have as many calls as they may
    NO_MEDIA_SLOT = "no_media_slot"
    NO_VOICE_SERVICE = "no_voice_service"  # no pod has what its template's `voice` names
    LOOKUP_FAILED = "lookup_failed"  # and the template says: then do not call
    LOOKUP_SAYS_NO = "lookup_says_no"  # the operator's own system: do not call


@dataclass(frozen=True)
class Allowed:
    """Nothing stands against the call."""


@dataclass(frozen=True)
class Refused:
    """The call must not be made before `not_before`, and then the gates are asked again."""

    reason: Reason
    not_before: datetime


Verdict = Allowed | Refused


def first_refusal(*verdicts: Verdict) -> Verdict:
    """The first gate that is closed, or `Allowed`."""
    return next((verdict for verdict in verdicts if isinstance(verdict, Refused)), Allowed())


def campaign_runs(status: str, now: datetime) -> Verdict:
    """The campaign was started, and neither paused nor canceled."""
    if status == "running":
        return Allowed()
    return Refused(Reason.CAMPAIGN_NOT_RUNNING, now + SOON)


def not_held(held_at: datetime | None, now: datetime) -> Verdict:
    """No operator holds the lead back."""
    return Allowed() if held_at is None else Refused(Reason.HELD, now + LOOK_AGAIN)


def within_life(not_before: datetime | None, expires_at: datetime | None, now: datetime) -> Verdict:
    """The lead's own first moment has come, and its last has not."""
    if expires_at is not None and now >= expires_at:
        return Refused(Reason.EXPIRED, now)
    if not_before is not None and now < not_before:
        return Refused(Reason.NOT_YET, not_before)
    return Allowed()


def not_suppressed(suppressed: bool | None, now: datetime) -> Verdict:
    """The number may be called; None (nobody could say) counts as suppressed."""
    return Allowed() if suppressed is False else Refused(Reason.SUPPRESSED, now + LOOK_AGAIN)
