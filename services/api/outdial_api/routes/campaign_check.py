"""A dry run of a campaign: what would happen if it ran now."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from outdial.operations.check_campaign import CampaignCheck, Group, check_campaign
from outdial.operations.describe_check import group_in_words, in_sentences
from outdial_api import problems
from outdial_api.dependencies import OpenRuntime
from outdial_api.routes.campaigns import Found

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"], responses=problems.RESPONSES)


class ReasonView(BaseModel):
    """Leads that cannot be called now, for one reason."""

    reason: str = Field(examples=["outside_hours"])
    count: int
    until: datetime | None = Field(description="When the reason ends, where it is one moment.")
    zone: str | None = Field(description="For whose clock they wait.", examples=["America/Denver"])
    first_at: datetime | None = Field(description="When the first of them can be called.")
    last_at: datetime | None
    text: str = Field(examples=["412 outside hours until 09:00 Denver"])

    @classmethod
    def of(cls, group: Group, now: datetime) -> "ReasonView":
        """A group as it is shown."""
        return cls(
            reason=group.reason,
            count=group.count,
            until=group.until,
            zone=group.zone,
            first_at=group.first_at,
            last_at=group.last_at,
            text=group_in_words(group, now),
        )


class PaceView(BaseModel):
    """How fast the campaign can call, if no other runs."""

    calls_per_second: float
    limited_by: str
    call_seconds: float = Field(description="How long one call holds its line.")
    measured_calls: int = Field(description="0: the length is assumed.")


class CampaignCheckView(BaseModel):
    """Who can be called, when, and why each other one cannot."""

    campaign: str
    status: str
    checked_at: datetime
    waiting: int
    callable_now: int
    callable_later: int
    not_callable: int = Field(description="Not as things stand.")
    on_the_phone: int
    finished: dict[str, int] = Field(examples=[{"completed": 12, "invalid_number": 7}])
    reasons: list[ReasonView]
    pace: PaceView
    last_call_at: datetime | None = Field(description="When one call for each has been placed.")
    too_late: int = Field(description="Calls that do not fit into their window at this pace.")
    fits: bool = Field(description="Whether every window is long enough.")
    warnings: list[str]
    text: list[str] = Field(description="All of it, in sentences.")

    @classmethod
    def of(cls, check: CampaignCheck) -> "CampaignCheckView":
        """A check as it is shown."""
        return cls(
            campaign=check.campaign.name,
            status=check.campaign.status,
            checked_at=check.checked_at,
            waiting=check.waiting,
            callable_now=check.callable_now,
            callable_later=check.callable_later,
            not_callable=check.not_at_all,
            on_the_phone=check.live,
            finished=check.outcomes,
            reasons=[ReasonView.of(group, check.checked_at) for group in check.groups],
            pace=PaceView(
                calls_per_second=check.pace.calls_per_second,
                limited_by=check.pace.limited_by,
                call_seconds=check.pace.call_seconds,
                measured_calls=check.pace.measured_calls,
            ),
            last_call_at=check.forecast.last_call_at,
            too_late=check.forecast.too_late,
            fits=check.forecast.too_late == 0,
            warnings=check.warnings,
            text=in_sentences(check),
        )


@router.post("/{campaign}/check")
async def check(runtime: OpenRuntime, found: Found) -> CampaignCheckView:
    """Look at every waiting lead without dialing any; the campaign does not have to run.

    Hours, opt-outs, limits and caller numbers are asked as at a claim. Nothing is changed.
    """
    return CampaignCheckView.of(await check_campaign(runtime, found))
