"""Every gate that stands before a call, asked with what the database says now (DESIGN.md 3.5).

The claim asks them, and asks them again for each attempt at the last moment before the POST.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from outdial.domain import calling_hours, dial_gates
from outdial.domain.call_template import CallTemplate, Hours
from outdial.domain.dial_gates import Verdict
from outdial.domain.limits import LiveCalls, within_live_limits
from outdial.domain.phone_number import zones_of
from outdial.storage.tables import Campaign, Contact, Lead

_HOURS: TypeAdapter[Hours] = TypeAdapter(Hours)


@dataclass(frozen=True)
class Candidate:
    """A lead, the contact whose turn it is, and what both belong to."""

    lead: Lead
    contact: Contact
    campaign: Campaign
    template: CallTemplate


def check_gates(
    candidate: Candidate, *, suppressed: bool | None, live: LiveCalls, now: datetime
) -> Verdict:
    """The first gate that is closed, or `Allowed`. `live` does not count this call itself."""
    lead, contact = candidate.lead, candidate.contact
    return dial_gates.first_refusal(
        dial_gates.within_life(lead.not_before, lead.expires_at, now),
        dial_gates.campaign_runs(candidate.campaign.status, now),
        dial_gates.not_held(lead.held_at, now),
        dial_gates.not_suppressed(suppressed, now),
        calling_hours.allowed(
            hours_of(candidate.campaign.hours, candidate.template),
            zones_of(contact.phone, contact.timezone),
            now,
        ),
        within_live_limits(live, now),
    )


def hours_of(own: dict[str, Any] | None, template: CallTemplate) -> Hours:
    """The campaign's own hours if it set some, else its template's."""
    return template.hours if own is None else _HOURS.validate_python(own)
