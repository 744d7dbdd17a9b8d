"""What the REST API shows of a campaign, and of how far it is."""

import uuid
from datetime import datetime

from pydantic import BaseModel, Field

from outdial.domain.lead_state import LeadState
from outdial.storage.tables import Campaign, Template
from outdial_api.views import Json, View


class CampaignView(View):
    """A campaign."""

    id: uuid.UUID
    name: str
    status: str = Field(description="draft | running | paused | canceled")
    paused_reason: str | None = Field(description="Why it is paused, if no operator paused it.")
    template_id: uuid.UUID
    template: str
    template_version: int
    caller_numbers: list[str]
    hours: Json | None
    max_live_calls: int | None
    created_at: datetime
    started_at: datetime | None
    canceled_at: datetime | None

    @classmethod
    def of(cls, campaign: Campaign, template: Template) -> "CampaignView":
        """The row as it is shown."""
        return cls(**_common(campaign, template))


class Counts(BaseModel):
    """How many leads stand where."""

    total: int
    states: dict[str, int] = Field(examples=[{"backlog": 10, "finished": 20}])
    outcomes: dict[str, int] = Field(examples=[{"completed": 12, "no_answer": 8}])


class CampaignDetailView(CampaignView):
    """A campaign and how far it is."""

    leads: Counts
    refusals: dict[str, int] = Field(description="Waiting leads by why they were not dialed.")
    live_calls: int
    closed_until: datetime | None = Field(
        description="outside_hours wherever a lead of it can be: none is looked at before then."
    )

    @classmethod
    def with_progress(
        cls,
        campaign: Campaign,
        template: Template,
        counts: dict[tuple[str, str | None], int],
        refusals: dict[str, int],
        live_calls: int,
        closed_until: datetime | None,
    ) -> "CampaignDetailView":
        """The row, with what is counted beside it."""
        states = dict.fromkeys(map(str, LeadState), 0)
        outcomes: dict[str, int] = {}
        for (state, outcome), count in counts.items():
            states[state] += count
            if outcome is not None:
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        leads = Counts(total=sum(counts.values()), states=states, outcomes=outcomes)
        return cls(
            **_common(campaign, template),
            leads=leads,
            refusals=refusals,
            live_calls=live_calls,
            closed_until=closed_until,
        )


def _common(campaign: Campaign, template: Template) -> Json:
    row = {name: getattr(campaign, name) for name in _CAMPAIGN_COLUMNS}
    return row | {"template": template.slug, "template_version": template.version}


_CAMPAIGN_COLUMNS = tuple(
    name for name in CampaignView.model_fields if name not in {"template", "template_version"}
)
