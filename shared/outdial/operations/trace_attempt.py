"""The spans of a call that nobody was there for: they are told when they are over."""

from outdial.domain.lead_state import LeadState
from outdial.observability import traces
from outdial.observability.trace_ids import attempt_span, lead_span
from outdial.storage.tables import Attempt, Lead


def span_of_attempt(attempt: Attempt) -> traces.Span:
    """One dial, from its claim to its end; everything that was done about it hangs below."""
    lead_id, facts = attempt.lead_id, attempt.facts or {}
    span = traces.span(
        "attempt",
        lead_span(lead_id) if lead_id else None,
        own=attempt_span(attempt.id, lead_id),
        began=attempt.queued_at,
        attempt_id=attempt.id,
        lead_id=lead_id,
        campaign_id=attempt.campaign_id,
        call_sid=attempt.call_sid,
        outcome=attempt.outcome,
        end_reason=attempt.end_reason,
        spent=attempt.spent,
        streams=attempt.stream_no,
    )
    for name in ("carrier_status", "sip_code", "error_code", "answered_by", "ended_by", "refusal"):
        span.set(**{name: facts.get(name)})
    span.stop(attempt.ended_at)
    return span


def span_of_claim(lead: Lead, *, asked_for: bool) -> traces.Span:
    """From the moment when a lead was due until its claim is committed: how long it had to wait.

    A call that was asked for by itself has a first span: its request. Of a lead that came in a
    list, it is its first claim.
    """
    first = lead.state == LeadState.BACKLOG and not lead.unspent_tries and not asked_for
    return traces.span(
        "claim",
        None if first else lead_span(lead.id),
        own=lead_span(lead.id) if first else None,
        began=lead.next_attempt_at,
        lead_id=lead.id,
        campaign_id=lead.campaign_id,
    )
