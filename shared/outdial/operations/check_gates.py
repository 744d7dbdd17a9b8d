"""Every gate that stands before a call, asked with what the database says now (DESIGN.md 3.5).

The claim asks them, and asks them again for each attempt at the last moment before the POST.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outdial.domain import calling_hours, dial_gates
from outdial.domain.call_template import Hours
from outdial.domain.dial_gates import Allowed, Reason, Refused, Verdict
from outdial.domain.lead_state import ScheduledBy
from outdial.domain.limits import LiveCalls, NumberPast, within_live_limits, within_number_limits
from outdial.domain.phone_number import zones_of
from outdial.operations.calling_rules import CallingRules
from outdial.storage.tables import Campaign, Lead


@dataclass(frozen=True)
class Candidate:
    """A lead, the number whose turn it is, and the rules that its campaign calls by."""

    lead: Lead
    phone: str
    timezone: str | None  # the contact's own
    campaign: Campaign
    rules: CallingRules


def check_gates(
    candidate: Candidate,
    *,
    suppressed: bool | None,
    past: NumberPast | None,
    live: LiveCalls,
    now: datetime,
) -> Verdict:
    """The first gate that is closed, or `Allowed`.

    `live` does not count this call itself. None for `suppressed` or `past` (nobody could say)
    closes the gate.
    """
    lead = candidate.lead
    return dial_gates.first_refusal(
        dial_gates.within_life(lead.not_before, lead.expires_at, now),
        dial_gates.campaign_runs(candidate.campaign.status, now),
        dial_gates.not_held(lead.held_at, now),
        dial_gates.not_suppressed(suppressed, now),
        within_hours(candidate, now),
        within_number_limits(
            candidate.rules.limits,
            past,
            now,
            asked_for=lead.scheduled_by == ScheduledBy.PERSON,
        ),
        within_live_limits(live, now),
    )


def within_hours(candidate: Candidate, now: datetime) -> Verdict:
    """The hours of every zone in which the phone may ring are open.

    Who waits for an opening comes up some minutes after it, each lead at a moment of its own: told
    while it is closed, or at the opening, if nobody looked at the lead before.
    """
    hours = candidate.rules.hours
    zones = zones_of(candidate.phone, candidate.timezone)
    verdict = calling_hours.allowed(hours, zones, now)
    if not isinstance(verdict, Refused):
        window = _waited_for(candidate.lead, hours, zones, now)
    elif verdict.reason is Reason.OUTSIDE_HOURS:
        window = calling_hours.window_at(hours, zones, verdict.not_before)
    else:
        return verdict
    if window is None:
        return verdict
    at = calling_hours.spread_over(window, candidate.lead.id.bytes, hours.spread_minutes)
    return Refused(Reason.OUTSIDE_HOURS, at) if at > now else Allowed()


def _waited_for(
    lead: Lead, hours: Hours, zones: Sequence[str], now: datetime
) -> calling_hours.Window | None:
    """The window that has just opened, if the lead was due before it."""
    due = lead.next_attempt_at
    if due is None or hours.spread_minutes <= 0:
        return None
    window = calling_hours.opening_within(hours, zones, now, hours.spread_minutes)
    return window if window is not None and due < window.opens_at else None
