"""Why a lead is not called just now, in a sentence: the answer to an operator's first question."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from outdial.domain.dial_gates import Reason
from outdial.domain.lead_state import DUE_STATES, LeadState, ScheduledBy
from outdial.domain.phone_number import zones_of, zones_within
from outdial.domain.refusal_words import clock, in_words
from outdial.storage.campaign_zones import Key
from outdial.storage.tables import Campaign, Contact, Lead

Closed = Mapping[Key, datetime]
"""Until when the hours are closed, by template and zones (`campaign_zones.closed_places`)."""

NOWHERE: Closed = MappingProxyType({})


def why_not_called(
    lead: Lead,
    contacts: Sequence[Contact],
    campaign: Campaign | None,
    closed: Closed = NOWHERE,
    now: datetime | None = None,
    held_up: str | None = None,
) -> str:
    """One sentence, whatever state the lead is in.

    `closed` is until when the places of its campaign are closed: then no claim looks at the lead;
    `held_up` what keeps every lead of it waiting (`campaign_now.py`).
    """
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
    due, reason = lead.next_attempt_at or now, lead.refusal
    if due <= now and (later := _opens_at(lead, contacts, closed)) is not None:
        due, reason = later
    when = (
        "It is looked at again now." if due <= now else f"Again at {_clock(due, lead, contacts)}."
    )
    if reason is not None:
        return f"Not called: {in_words(reason)}. {when}"
    if due <= now:
        return f"It is due, and waits for its turn{f': {in_words(held_up)}' if held_up else ''}."
    return f"{_waits_for(lead)} until {_clock(due, lead, contacts)}."


def refusal_of(
    lead: Lead, contacts: Sequence[Contact], closed: Closed, now: datetime | None = None
) -> str | None:
    """Why a lead was not dialed when it last came up, or is passed by with its campaign."""
    now = now or datetime.now(UTC)
    waits = lead.state in DUE_STATES and lead.held_at is None
    if waits and (lead.next_attempt_at or now) <= now:
        later = _opens_at(lead, contacts, closed)
        if later is not None:
            return later[1]
    return lead.refusal


def _opens_at(
    lead: Lead, contacts: Sequence[Contact], closed: Closed
) -> tuple[datetime, Reason] | None:
    """When the hours open where the lead is, if a claim found them closed."""
    contact = _next(lead, contacts)
    if contact is None:
        return None
    places = zones_within(contact.phone, contact.timezone)
    opens = [closed.get((lead.template_id, zones)) for zones in places]
    known = [at for at in opens if at is not None]
    if len(known) < len(opens):  # open somewhere: a claim comes by
        return None
    return min(known), Reason.OUTSIDE_HOURS if any(places) else Reason.TIMEZONE_UNKNOWN


def _waits_for(lead: Lead) -> str:
    if lead.scheduled_by == ScheduledBy.PERSON:
        return "The person asked to be called later: it waits"
    return "It cools down after its last call" if lead.state == LeadState.RETRY else "It waits"


def _clock(at: datetime, lead: Lead, contacts: Sequence[Contact]) -> str:
    """On the person's own wall, where it is known which."""
    contact = _next(lead, contacts)
    zones = zones_of(contact.phone, contact.timezone) if contact else ()
    return clock(at, zones[0] if len(zones) == 1 else "UTC", datetime.now(UTC))


def _next(lead: Lead, contacts: Sequence[Contact]) -> Contact | None:
    return next((one for one in contacts if one.position == lead.contact_position), None)
