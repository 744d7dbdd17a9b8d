"""Why a lead is not called, in words that an operator reads."""

from datetime import datetime
from zoneinfo import ZoneInfo

from outdial.domain.dial_gates import Reason
from outdial.domain.dry_run import EXPIRES_FIRST, NEVER_OPEN, WAITS

NO_REDIS = "no_redis"

WORDS: dict[str, str] = {
    Reason.CAMPAIGN_NOT_RUNNING: "its campaign is not running",
    Reason.HELD: "an operator holds it back",
    Reason.NOT_YET: "its own first moment (not_before) has not come",
    Reason.EXPIRED: "it has expired",
    Reason.SUPPRESSED: "the number is suppressed: it must not be called",
    Reason.OUTSIDE_HOURS: "it is outside the hours in which the person may be called",
    Reason.TIMEZONE_UNKNOWN: "nobody can say in which time zone the phone rings: give the lead one",
    Reason.LIVE_LIMIT: "as many calls are live as the deployment allows",
    Reason.CAMPAIGN_LIVE_LIMIT: "as many calls are live as its campaign allows",
    Reason.NUMBER_BUSY: "a call with the same number, lead or branch is going on",
    Reason.NUMBER_DAY_LIMIT: "the number was called often enough within 24 hours",
    Reason.NUMBER_WEEK_LIMIT: "the number was called often enough within seven days",
    Reason.RESTING: "the person was spoken with and is left in peace for some days",
    Reason.NO_CALLER_NUMBER: "there is no number to call from",
    Reason.CALLER_NUMBERS_BUSY: "every number to call from rests or has as many calls as it may",
    Reason.NO_MEDIA_SLOT: "no media pod has room",
    Reason.NO_VOICE_SERVICE: "no media pod has the services that its template's voice names",
    Reason.LOOKUP_FAILED: "its lookup failed, and its template says not to call then",
    Reason.LOOKUP_SAYS_NO: "its lookup says not to call",
    WAITS: "its next call is due later (a cooldown, or a time that the person asked for)",
    EXPIRES_FIRST: "it expires before it can be called",
    NEVER_OPEN: "its hours do not open within two weeks",
    NO_REDIS: "Redis does not answer, and nobody is dialed without it",
    "not_sent": "the carrier could not be reached",
    "claim_expired": "no worker took it in time",
    "rejected": "the carrier refused the call",
}
"""By the reason as it is stored on the lead, before a colon."""


def in_words(reason: str) -> str:
    """A stored reason (`outside_hours`, `rejected:20429`) as a clause."""
    name, _, code = reason.partition(":")
    words = WORDS.get(name, name.replace("_", " "))
    return f"{words} (code {code})" if code else words


def clock(at: datetime, zone: str, now: datetime) -> str:
    """A moment on the wall of a zone: `09:00 Denver`, with its date when that is not today's."""
    local = at.astimezone(ZoneInfo(zone))
    same_day = local.date() == now.astimezone(ZoneInfo(zone)).date()
    day = "" if same_day else f"{local:%A} {local.day} {local:%B}, "
    return f"{day}{local:%H:%M} {city(zone)}"


def city(zone: str) -> str:
    """`America/North_Dakota/Center` as `Center`."""
    return zone.rsplit("/", 1)[-1].replace("_", " ")
