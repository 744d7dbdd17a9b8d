"""One call, asked for by itself.

It is a lead of the campaign `_calls:<template>`, which is made when it is first needed and always
runs, so that a single call passes the same gates and retries as any other.
"""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.errors import Conflict, FieldProblem, InvalidInput, NotFound
from outdial.domain.placeholders import variables_of
from outdial.observability import traces
from outdial.observability.trace_ids import lead_span
from outdial.operations.check_lead import RawLead, Target, check_lead
from outdial.operations.create_template import DEFAULT_SLUG
from outdial.operations.parse_template import template_of
from outdial.operations.request_ids import RequestIds
from outdial.operations.runtime import Runtime
from outdial.storage import campaigns, leads, suppressions, templates
from outdial.storage.leads import NewLead
from outdial.storage.tables import Campaign, Lead, Template

_log = structlog.get_logger(__name__)

SYSTEM_PREFIX = "_"
"""Names of campaigns that nobody may give or cancel begin so."""


@dataclass(frozen=True)
class CallRequest:
    """What to call, and how; the lead's fields are checked as an import checks them."""

    lead: RawLead
    template: str = DEFAULT_SLUG
    template_version: int | None = None  # None: the newest


@dataclass(frozen=True)
class EnqueuedCall:
    """A call that will be dialed as soon as the gates allow."""

    lead: Lead
    template: Template
    fresh: bool = field(default=True)


async def enqueue_call(runtime: Runtime, request: CallRequest, ids: RequestIds) -> EnqueuedCall:
    """Write the lead of one call and hint at the dispatcher.

    Raises:
        NotFound: there is no such template.
        InvalidInput: a field does not fit.
        Conflict: the number must not be called, or its `_calls` campaign is paused for good.

    """
    async with runtime.sessions.begin() as session:
        template = await _template(session, request)
        campaign = await _campaign(session, template)
        lead = _checked(request, template, campaign, ids)
        await _refuse_suppressed(session, lead)
        known = await leads.known_between(session, lead.id, lead.id) if ids.repeatable else set()
        if not known:
            await leads.insert(session, [lead], datetime.now(UTC))
        row = await leads.get(session, lead.id)
    if row is None:
        raise NotFound("The call was not written.")
    _log.info("call_asked_for", lead_id=str(row.id), template=template.slug, fresh=not known)
    (traces.belongs_to if known else traces.begins)(lead_span(row.id))  # it begins once
    traces.note(lead_id=row.id, template=template.slug, fresh=not known)
    runtime.hints.dispatch()
    return EnqueuedCall(row, template, not known)


async def _template(session: AsyncSession, request: CallRequest) -> Template:
    if request.template_version is None:
        template = await templates.latest(session, request.template)
    else:
        template = await templates.version(session, request.template, request.template_version)
    if template is None:
        wanted = f" version {request.template_version}" if request.template_version else ""
        raise NotFound(f"There is no template {request.template}{wanted}.")
    return template


async def _campaign(session: AsyncSession, template: Template) -> Campaign:
    name = f"{SYSTEM_PREFIX}calls:{template.slug}"
    campaign = await campaigns.by_name(session, name)
    if campaign is None:
        new = Campaign(
            id=uuid.uuid4(),
            name=name,
            template_id=template.id,
            status="running",
            caller_numbers=[],
            started_at=datetime.now(UTC),
        )
        await campaigns.add(session, new)  # whoever is first; the name is unique
        campaign = await campaigns.by_name(session, name)
    if campaign is None or campaign.status == "canceled":
        raise Conflict(f"The campaign {name} does not take calls.")
    return campaign


def _checked(
    request: CallRequest, template: Template, campaign: Campaign, ids: RequestIds
) -> NewLead:
    wanted = variables_of(template_of(template.body))
    target = Target(campaign.id, template.id, wanted, datetime.now(UTC))
    lead = check_lead(request.lead, target, ids.at())
    if isinstance(lead, FieldProblem):
        raise InvalidInput("The call is not valid.", [lead])
    return lead


async def _refuse_suppressed(session: AsyncSession, lead: NewLead) -> None:
    """A lead all of whose numbers are suppressed could only end so: say it at once."""
    phones = {contact.phone for contact in lead.contacts}
    if await suppressions.among(session, phones) == phones:
        raise Conflict("This number asked not to be called; see /v1/suppressions.")
