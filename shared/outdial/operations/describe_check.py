"""A dry run in sentences, for people."""

from collections.abc import Iterator
from datetime import datetime

from outdial.domain.dial_gates import Reason
from outdial.domain.dry_run import EXPIRES_FIRST, NEVER_OPEN, WAITS
from outdial.domain.refusal_words import clock
from outdial.operations.check_campaign import CampaignCheck, Group

_NOUNS: dict[str, str] = {
    Reason.NOT_YET: "before their own first moment (not_before)",
    Reason.EXPIRED: "expired",
    Reason.HELD: "held back by an operator",
    Reason.SUPPRESSED: "suppressed",
    Reason.OUTSIDE_HOURS: "outside hours",
    Reason.TIMEZONE_UNKNOWN: "in a time zone that nobody can tell: give them one",
    Reason.NUMBER_BUSY: "on the phone in another campaign",
    Reason.NUMBER_DAY_LIMIT: "called often enough within 24 hours",
    Reason.NUMBER_WEEK_LIMIT: "called often enough within seven days",
    Reason.RESTING: "resting after a conversation",
    WAITS: "waiting for the time of their next call",
    EXPIRES_FIRST: "expiring before they can be called",
    NEVER_OPEN: "never within their hours in the next two weeks",
}


def group_in_words(group: Group, now: datetime) -> str:
    """`412 outside hours until 09:00 Denver`."""
    text = f"{group.count:,} {_NOUNS.get(group.reason, group.reason.replace('_', ' '))}"
    if group.until is not None and group.zone is not None:
        text += f" until {clock(group.until, group.zone, now)}"
        if group.zones > 1:
            text += f", the last of the {group.zones} zones that their numbers could be in"
    elif group.first_at is not None and group.last_at is not None:
        first, last = (clock(at, "UTC", now) for at in (group.first_at, group.last_at))
        text += f" until {first}" if first == last else f" until {first}, the last until {last}"
    return text


def in_sentences(check: CampaignCheck) -> list[str]:
    """Everything that an operator wants to know before starting a campaign."""
    return list(_sentences(check))


def _sentences(check: CampaignCheck) -> Iterator[str]:
    now = check.checked_at
    yield (
        f"{check.waiting:,} leads wait: {check.callable_now:,} can be called now, "
        f"{check.callable_later:,} later, {check.not_at_all:,} not as things stand."
    )
    for group in check.groups:
        yield f"  {group_in_words(group, now)}"
    if invalid := check.outcomes.get("invalid_number"):
        yield f"  {invalid:,} invalid: the carrier says that these numbers cannot be called"
    yield from _forecast(check)
    yield from check.warnings


def _forecast(check: CampaignCheck) -> Iterator[str]:
    pace, calls = check.pace, check.callable_now + check.callable_later
    if not calls:
        return
    yield (
        f"Pace: {pace.calls_per_second:.3g} calls a second, limited by {pace.limited_by}; a call "
        f"holds its line for {pace.call_seconds:.0f} s "
        f"({'measured' if pace.measured_calls else 'assumed'})."
    )
    if check.forecast.too_late:
        yield (
            f"The window is too short: {check.forecast.too_late:,} of {calls:,} are not reached "
            "before it closes, and wait for the next one."
        )
    elif check.forecast.last_call_at is not None:
        last = clock(check.forecast.last_call_at, "UTC", check.checked_at)
        yield f"The windows are long enough: one call for each takes until {last}."
