"""Make a campaign, and an operator's levers on it: start, pause, resume, cancel.

Each lever is safe at any moment and may be pulled twice.
"""

import difflib
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.attempt_state import AttemptState, StopReason
from outdial.domain.errors import Conflict, FieldProblem, InvalidInput, NotFound
from outdial.operations.enqueue_call import SYSTEM_PREFIX
from outdial.operations.request_ids import RequestIds
from outdial.operations.runtime import Runtime
from outdial.operations.stop_attempts import Stopped, act_on, stop_attempts
from outdial.storage import attempts, campaign_zones, campaigns, leads, numbers, templates
from outdial.storage.tables import Campaign

Lever = Literal["start", "pause", "resume"]
LiveCalls = Literal["finish", "hangup"]

_LEVERS: dict[Lever, tuple[tuple[str, ...], str]] = {
    "start": (("draft", "running"), "running"),
    "pause": (("running", "paused"), "paused"),
    "resume": (("paused", "running"), "running"),
}
"""From which states a lever works, and to which."""


@dataclass(frozen=True)
class NewCampaign:
    """A campaign before it is a row; the values are checked."""

    name: str
    template: str
    template_version: int | None = None
    caller_numbers: tuple[str, ...] = ()
    hours: dict[str, Any] | None = None
    max_live_calls: int | None = None
    start: bool = False


async def create_campaign(runtime: Runtime, new: NewCampaign, ids: RequestIds) -> Campaign:
    """Write a campaign, as a draft or running.

    Raises:
        NotFound: there is no such template.
        Conflict: the name is taken, or there is no number to call from.

    """
    async with runtime.sessions.begin() as session:
        if new.template_version is None:
            template = await templates.latest(session, new.template)
        else:
            template = await templates.version(session, new.template, new.template_version)
        if template is None:
            raise NotFound(f"There is no template {new.template}.")
        campaign = Campaign(
            id=ids.at(),
            name=checked_name(new.name),
            template_id=template.id,
            status="draft",
            caller_numbers=list(new.caller_numbers),
            hours=new.hours,
            max_live_calls=new.max_live_calls,
        )
        written = await campaigns.add(session, campaign)
        stored = await campaigns.get(session, campaign.id)
        if stored is None:  # not even an earlier run of the same request wrote it
            raise Conflict(f"There is a campaign {new.name} already.")
        if new.start and written:
            await _pull(session, stored, "start")
    if new.start:
        runtime.hints.dispatch()
    return await find_campaign(runtime, str(campaign.id))


def checked_name(name: str) -> str:
    """A name that a campaign may be given.

    Raises:
        InvalidInput: it is an id, or begins as only our own do.

    """
    problem = None
    if name.startswith(SYSTEM_PREFIX):
        problem = f"must not begin with {SYSTEM_PREFIX}"
    elif _as_id(name) is not None:
        problem = "must not look like an id: a campaign is found by either"
    elif "/" in name or name != name.strip():
        problem = "must hold no slash, and no space at its ends"
    if problem:
        raise InvalidInput("The campaign is not valid.", [FieldProblem("name", problem)])
    return name


async def find_campaign(runtime: Runtime, id_or_name: str) -> Campaign:
    """A campaign, by its id or its name.

    Raises:
        NotFound: there is none.

    """
    async with runtime.sessions() as session:
        campaign_id = _as_id(id_or_name)
        found = (
            await campaigns.by_name(session, id_or_name)
            if campaign_id is None
            else await campaigns.get(session, campaign_id)
        )
        if found is None:
            names = await campaigns.newest_names(session)
            near = difflib.get_close_matches(id_or_name, names, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise NotFound(f"There is no campaign {id_or_name}.{meant}")
    return found


async def pull_lever(runtime: Runtime, campaign_id: uuid.UUID, lever: Lever) -> Campaign:
    """Start, pause or resume; one row changes, however many leads there are.

    Raises:
        Conflict: the campaign stands where this lever does not work.

    """
    async with runtime.sessions.begin() as session:
        campaign = await _locked(session, campaign_id)
        await _pull(session, campaign, lever)
    runtime.hints.dispatch()
    return await find_campaign(runtime, str(campaign_id))


async def cancel_campaign(runtime: Runtime, campaign_id: uuid.UUID, live: LiveCalls) -> Campaign:
    """End a campaign for good. What is queued is not dialed; live calls finish or are hung up.

    Two transactions: whoever decides on a lead shares the campaign's row meanwhile, and so either
    sees that it is canceled, or is seen by `end_waiting_leads`. A crash between them is mended by
    `finish_canceled_leads`.

    Raises:
        Conflict: it is one of our own (`_calls:...`).

    """
    async with runtime.sessions.begin() as session:
        campaign = await _locked(session, campaign_id)
        if campaign.name.startswith(SYSTEM_PREFIX):
            raise Conflict("This campaign takes single calls; pause it, or cancel its leads.")
        await campaigns.change_status(
            session, campaign_id, ("draft", "running", "paused"), "canceled"
        )
    await end_waiting_leads(runtime, campaign_id, live)
    return await find_campaign(runtime, str(campaign_id))


async def end_waiting_leads(runtime: Runtime, campaign_id: uuid.UUID, live: LiveCalls) -> int:
    """Finish what waits in a canceled campaign, and stop what is live; how many leads waited."""
    async with runtime.sessions.begin() as session:
        waited = await leads.cancel_waiting(session, campaign_id)
        stopped = await _stop_live(session, campaign_id, live)
    await act_on(runtime, stopped)
    return waited


async def change_campaign(
    runtime: Runtime, campaign_id: uuid.UUID, changes: dict[str, object]
) -> Campaign:
    """Change columns; the caller has checked the values.

    Raises:
        Conflict: the campaign was canceled, or the new name is taken.

    """
    async with runtime.sessions.begin() as session:
        campaign = await _locked(session, campaign_id)
        if campaign.status == "canceled":
            raise Conflict("A canceled campaign cannot be changed.")
        name = changes.get("name")
        if isinstance(name, str) and name != campaign.name:
            if campaign.name.startswith(SYSTEM_PREFIX):
                raise Conflict("This campaign takes single calls; it keeps its name.")
            if await campaigns.by_name(session, checked_name(name)) is not None:
                raise Conflict(f"There is a campaign {name} already.")
        for column, value in changes.items():
            setattr(campaign, column, value)
        if "hours" in changes:
            await campaign_zones.forget_openings(session, campaign_id)
    return await find_campaign(runtime, str(campaign_id))


async def _pull(session: AsyncSession, campaign: Campaign, lever: Lever) -> None:
    allowed, to = _LEVERS[lever]
    if campaign.status not in allowed:
        raise Conflict(_refusal(campaign.status, lever))
    if to == "running" and not await _has_number(session, campaign):
        raise Conflict("There is no number to call from: add one with POST /v1/numbers.")
    if campaign.status != to:
        await campaigns.change_status(session, campaign.id, allowed, to)


def _refusal(status: str, lever: Lever) -> str:
    if status == "canceled":
        return "This campaign was canceled, for good."
    hint = {("paused", "start"): ": resume it", ("draft", "resume"): ": start it"}
    return f"A {status} campaign cannot {lever}{hint.get((status, lever), '')}."


async def _has_number(session: AsyncSession, campaign: Campaign) -> bool:
    if campaign.caller_numbers:
        return True
    return any(number.status == "active" for number in await numbers.all_numbers(session))


async def _stop_live(session: AsyncSession, campaign_id: uuid.UUID, live: LiveCalls) -> Stopped:
    locked = await attempts.lock_live_of_campaign(session, campaign_id)
    if live == "finish":
        locked = [attempt for attempt in locked if attempt.state == AttemptState.QUEUED]
    return await stop_attempts(session, locked, StopReason.CANCELED)


async def _locked(session: AsyncSession, campaign_id: uuid.UUID) -> Campaign:
    campaign = await campaigns.lock(session, campaign_id)
    if campaign is None:
        raise NotFound(f"There is no campaign {campaign_id}.")
    return campaign


def _as_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
