"""Campaigns, and an operator's levers on them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from outdial.domain.errors import NotFound
from outdial.operations import control_campaign
from outdial.operations.check_hours import checked_hours
from outdial.operations.control_campaign import Lever, LiveCalls
from outdial.operations.export_results import export_results
from outdial.operations.request_ids import RequestIds
from outdial.operations.runtime import Runtime
from outdial.storage import attempts, campaign_zones, campaigns, leads, templates
from outdial.storage.tables import Campaign
from outdial_api import pages, problems
from outdial_api.campaign_views import CampaignDetailView, CampaignView
from outdial_api.dependencies import OpenRuntime
from outdial_api.idempotency import Answer, OnceOnly
from outdial_api.pages import Cursor, Limit, Page
from outdial_api.requests import CampaignChanges, NewCampaign
from outdial_api.security import Operator, Viewer

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"], responses=problems.RESPONSES)


async def found_campaign(
    runtime: OpenRuntime,
    _key: Viewer,
    campaign: Annotated[str, Path(max_length=200, description="The campaign's id or name.")],
) -> Campaign:
    """The campaign that the path names; 404 without one."""
    return await control_campaign.find_campaign(runtime, campaign)


Found = Annotated[Campaign, Depends(found_campaign)]


@router.post("", status_code=201, response_model=CampaignDetailView)
async def create_campaign(body: NewCampaign, request: Request, only: OnceOnly) -> Response:
    """Make a campaign, as a draft unless `start` is set."""

    async def work(ids: RequestIds) -> Answer:
        new = control_campaign.NewCampaign(
            name=body.name,
            template=body.template,
            template_version=body.template_version,
            caller_numbers=tuple(body.caller_numbers),
            hours=checked_hours(body.hours),
            max_live_calls=body.max_live_calls,
            start=body.start,
        )
        made = await control_campaign.create_campaign(only.runtime, new, ids)
        return Answer((await _detail(only.runtime, made)).model_dump(mode="json"))

    return await only.run(await request.body(), work)


@router.get("")
async def list_campaigns(
    runtime: OpenRuntime, _key: Viewer, limit: Limit = 100, cursor: Cursor = None
) -> Page[CampaignView]:
    """Campaigns, the newest first. Single calls are in those whose name begins with `_calls:`."""
    async with runtime.sessions() as session:
        rows = await campaigns.page(session, before=pages.id_of(cursor), limit=limit + 1)
        used = await templates.many(session, {row.template_id for row in rows})
    return pages.page_of(
        rows, limit, lambda row: row.id, lambda row: CampaignView.of(row, used[row.template_id])
    )


@router.get("/{campaign}")
async def get_campaign(runtime: OpenRuntime, found: Found) -> CampaignDetailView:
    """A campaign and how far it is: leads by state and outcome, refusals, live calls."""
    return await _detail(runtime, found)


@router.patch("/{campaign}")
async def change_campaign(
    body: CampaignChanges, runtime: OpenRuntime, found: Found, _key: Operator
) -> CampaignDetailView:
    """Change what is given."""
    changes: dict[str, Any] = body.model_dump(exclude_unset=True)
    if "hours" in changes:
        changes["hours"] = checked_hours(changes["hours"])
    if changes.get("name", "") is None:
        del changes["name"]
    if changes.get("caller_numbers", "") is None:
        changes["caller_numbers"] = []
    return await _detail(
        runtime, await control_campaign.change_campaign(runtime, found.id, changes)
    )


@router.post("/{campaign}/cancel")
async def cancel_campaign(
    runtime: OpenRuntime,
    found: Found,
    _key: Operator,
    live: Annotated[
        LiveCalls, Query(description="Let calls that go on finish, or hang them up.")
    ] = "finish",
) -> CampaignDetailView:
    """End a campaign for good: waiting leads finish as canceled, queued calls are not dialed."""
    return await _detail(runtime, await control_campaign.cancel_campaign(runtime, found.id, live))


@router.post("/{campaign}/start")
async def start_campaign(runtime: OpenRuntime, found: Found, _key: Operator) -> CampaignDetailView:
    """Let a draft run."""
    return await _pull(runtime, found, "start")


@router.post("/{campaign}/pause")
async def pause_campaign(runtime: OpenRuntime, found: Found, _key: Operator) -> CampaignDetailView:
    """Dial nothing more for now. Calls that go on are not touched."""
    return await _pull(runtime, found, "pause")


@router.post("/{campaign}/resume")
async def resume_campaign(runtime: OpenRuntime, found: Found, _key: Operator) -> CampaignDetailView:
    """Let a paused campaign run again."""
    return await _pull(runtime, found, "resume")


@router.get(
    "/{campaign}/results.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}, "description": "One line a lead."}},
)
async def get_results(runtime: OpenRuntime, found: Found) -> Response:
    """What came of each lead, as CSV."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in found.name)
    return StreamingResponse(
        export_results(runtime, found.id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{safe}-results.csv"'},
    )


async def _pull(runtime: Runtime, campaign: Campaign, lever: Lever) -> CampaignDetailView:
    return await _detail(runtime, await control_campaign.pull_lever(runtime, campaign.id, lever))


async def _detail(runtime: Runtime, campaign: Campaign) -> CampaignDetailView:
    async with runtime.sessions() as session:
        template = await templates.get(session, campaign.template_id)
        counts = await leads.count_by_state(session, campaign.id)
        refusals = await leads.count_refusals(session, campaign.id)
        live = len(await attempts.live(session, campaign_id=campaign.id))
        closed = await campaign_zones.closed_until(session, campaign.id)
    if template is None:
        raise NotFound(f"The template of campaign {campaign.name} is gone.")
    return CampaignDetailView.with_progress(campaign, template, counts, refusals, live, closed)
