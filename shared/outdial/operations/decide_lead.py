"""What a lead does after an attempt: the rule's answer, written (PROTOCOL.md 5)."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import StopReason
from outdial.domain.call_outcome import Facts, Outcome
from outdial.domain.lead_state import LeadState, ScheduledBy
from outdial.domain.retry_policy import (
    Decision,
    Finish,
    LeadView,
    RetryAt,
    Tried,
    decide_next,
    unspent_in_a_row,
)
from outdial.operations.known_templates import known_template
from outdial.storage import attempts, campaigns, leads
from outdial.storage.tables import Attempt, Contact, Lead


async def decide_lead(
    session: AsyncSession, lead: Lead, attempt: Attempt, facts: Facts, now: datetime
) -> datetime | None:
    """Decide and write; when the lead is due again, or None if it is finished.

    Lead and attempt are locked, and `attempt` is the lead's last one. The lead is one version on.
    """
    contacts = (await leads.contacts_of(session, [lead.id])).get(lead.id, [])
    tried = await _history(session, lead, contacts)
    template = await known_template(session, attempt.template_id)
    if template is None:
        raise LookupError(f"the template of attempt {attempt.id} is gone")
    view = LeadView(len(contacts), lead.expires_at)
    decision = decide_next(template.retry, view, tried, facts, now)
    if not isinstance(decision, Finish) and await _is_canceled(session, lead):
        decision = Finish(Outcome.CANCELED)
    await _write(session, lead, decision, tried, facts)
    if not attempt.spent and not isinstance(decision, Finish):
        why = leads.Refusal(lead.id, _why_unspent(attempt, facts), decision.at)
        await leads.refuse_all(session, [why])
    return None if isinstance(decision, Finish) else decision.at


async def _write(
    session: AsyncSession, lead: Lead, decision: Decision, tried: list[Tried], facts: Facts
) -> None:
    if isinstance(decision, Finish):
        await leads.finish(session, lead.id, decision.outcome, facts.result)
        return
    await leads.schedule(
        session,
        lead.id,
        decision.contact,
        decision.at,
        state=_waiting_state(lead, tried),
        scheduled_by=decision.by if isinstance(decision, RetryAt) else ScheduledBy.POLICY,
        unspent_tries=unspent_in_a_row(tried),
    )


def _waiting_state(lead: Lead, tried: list[Tried]) -> LeadState:
    """A lead whose claim ended before its first dial is as it was."""
    fresh = lead.state == LeadState.ACTIVE and not any(one.spent for one in tried)
    return LeadState.BACKLOG if fresh else LeadState.RETRY


def _why_unspent(attempt: Attempt, facts: Facts) -> str:
    """Why nobody's phone rang: for who asks why a lead was not called."""
    if facts.refusal:
        return facts.refusal
    code = f":{facts.error_code}" if facts.error_code else ""
    return f"{attempt.end_reason}{code}"


async def _history(session: AsyncSession, lead: Lead, contacts: list[Contact]) -> list[Tried]:
    positions = {contact.id: contact.position for contact in contacts}
    return [
        Tried(
            contact=positions.get(row.contact_id, lead.contact_position)
            if row.contact_id
            else lead.contact_position,
            outcome=Outcome(row.outcome),
            spent=bool(row.spent),
            ended_at=row.ended_at,
            stop_reason=StopReason(row.stop_reason) if row.stop_reason else None,
            asked_back=row.facts.get("callback_at") is not None,
        )
        for row in await attempts.of_lead(session, lead.id)
        if row.outcome is not None and row.ended_at is not None
    ]


async def _is_canceled(session: AsyncSession, lead: Lead) -> bool:
    # Shared, so that a cancel at this moment waits for us, or we for it: no lead slips between.
    campaign = await campaigns.share(session, lead.campaign_id)
    return campaign is not None and campaign.status == "canceled"
