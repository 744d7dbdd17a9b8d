"""Why a lead is not called just now, in a sentence: the answer to an operator's first question."""

from collections.abc import Sequence
from datetime import UTC, datetime

from outdial.domain.lead_state import LeadState, ScheduledBy
from outdial.domain.phone_number import zones_of
from outdial.domain.refusal_words import clock, in_words
from outdial.storage.tables import Campaign, Contact, Lead


def why_not_called(
    lead: Lead, contacts: Sequence[Contact], campaign: Campaign | None, now: datetime | None = None
) -> str:
    """One sentence, whatever state the lead is in."""
    now = now or datetime.now(UTC)
    if lead.state == LeadState.FINISHED:
        return f"It is finished: {lead.outcome}."
    if lead.state == LeadState.ACTIVE:
        return "A call to it is going on."
    if lead.held_at is not None:
        return f"Not called: {in_words('held')}."
    if campaign is not None and campaign.status != "running":
        why = f" ({campaign.paused_reason})" if campaign.paused_reason else ""
        return f"Not called: its campaign is {campaign.status}{why}."
    due = lead.next_attempt_at or now
    when = (
        "It is looked at again now." if due <= now else f"Again at {_clock(due, lead, contacts)}."
    )
    if lead.refusal is not None:
        return f"Not called: {in_words(lead.refusal)}. {when}"
    if due <= now:
        return "It is due, and waits for its turn."
    return f"{_waits_for(lead)} until {_clock(due, lead, contacts)}."


def _waits_for(lead: Lead) -> str:
    if lead.scheduled_by == ScheduledBy.PERSON:
        return "The person asked to be called later: it waits"
    return "It cools down after its last call" if lead.state == LeadState.RETRY else "It waits"


def _clock(at: datetime, lead: Lead, contacts: Sequence[Contact]) -> str:
    """On the person's own wall, where it is known which."""
    contact = next((one for one in contacts if one.position == lead.contact_position), None)
    zones = zones_of(contact.phone, contact.timezone) if contact else ()
    return clock(at, zones[0] if len(zones) == 1 else "UTC", datetime.now(UTC))
