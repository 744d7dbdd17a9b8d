"""Every gate that stands before a call, asked with what the database says now (DESIGN.md 3.5).

The claim asks them, and asks them again for each attempt at the last moment before the POST.
"""

from dataclasses import dataclass
from datetime import datetime

from outdial.domain import calling_hours, dial_gates
from outdial.domain.dial_gates import Reason, Refused, Verdict
from outdial.domain.lead_state import ScheduledBy
from outdial.domain.limits import LiveCalls, NumberPast, within_live_limits, within_number_limits
from outdial.domain.phone_number import zones_of
from outdial.operations.calling_rules import CallingRules
from outdial.storage.tables import Campaign, Contact, Lead


@dataclass(frozen=True)
class Candidate:
    """A lead, the contact whose turn it is, and the rules that its campaign calls by."""

    lead: Lead
    contact: Contact
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

    Who waits for an opening comes up some minutes after it, each lead at a moment of its own.
    """
    hours = candidate.rules.hours
    zones = zones_of(candidate.contact.phone, candidate.contact.timezone)
    verdict = calling_hours.allowed(hours, zones, now)
    if not isinstance(verdict, Refused) or verdict.reason is not Reason.OUTSIDE_HOURS:
        return verdict
    window = calling_hours.window_at(hours, zones, verdict.not_before)
    if window is None:
        return verdict
    at = calling_hours.spread_over(window, candidate.lead.id.bytes, hours.spread_minutes)
    return Refused(verdict.reason, at)
