"""A dry run: who could be called, when, and why each other one cannot. Nothing is dialed.

The same rules as a claim's, asked about every waiting lead, page by page: memory stays flat. What
holds for a moment only (how many calls are live just now) is left out.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_template import CallTemplate
from outdial.domain.calling_hours import is_limited
from outdial.domain.dry_run import Finding, Openings, WaitingLead, first_moment
from outdial.domain.lead_state import ScheduledBy
from outdial.domain.limits import NumberPast, looks_back
from outdial.domain.pace_forecast import Demand, Forecast, forecast
from outdial.domain.phone_number import zones_of
from outdial.domain.voice_services import pods_of
from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.caller_number import CallerPool
from outdial.operations.calling_rules import CallingRules, rules_for, rules_for_any, rules_of
from outdial.operations.parse_template import template_of
from outdial.operations.possible_pace import Pace, possible_pace
from outdial.operations.runtime import Runtime
from outdial.operations.voice_pods import lacking
from outdial.storage import attempts, leads, number_history, suppressions, templates, waiting_leads
from outdial.storage.lost_work import database_now
from outdial.storage.tables import Campaign
from outdial.storage.waiting_leads import WaitingContact, WaitingRow

MOST_GROUPS = 200
"""Distinct openings that are told apart; what comes after is counted by its reason alone."""

_BUCKET_SECONDS = 300


@dataclass
class Group:
    """Leads that cannot be called now for one reason."""

    reason: str
    until: datetime | None  # the same for all of them, where known
    zone: str | None  # the zone for whose clock they wait
    zones: int  # how many zones their numbers could be in
    count: int = 0
    first_at: datetime | None = None  # when the first of them can be called
    last_at: datetime | None = None

    def add(self, at: datetime | None) -> None:
        """One more."""
        self.count += 1
        if at is not None:
            self.first_at = min(self.first_at or at, at)
            self.last_at = max(self.last_at or at, at)


@dataclass
class CampaignCheck:
    """What a campaign would do if it ran now."""

    campaign: Campaign
    checked_at: datetime
    pace: Pace
    callable_now: int = 0
    callable_later: int = 0
    not_at_all: int = 0
    groups: list[Group] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)  # of leads that are finished
    live: int = 0
    forecast: Forecast = field(default_factory=lambda: Forecast(None, 0))
    warnings: list[str] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Leads that wait, for whatever reason."""
        return self.callable_now + self.callable_later + self.not_at_all


async def check_campaign(runtime: Runtime, campaign: Campaign) -> CampaignCheck:
    """Look at every waiting lead of a campaign; it does not have to run."""
    async with runtime.sessions() as session:
        now = await database_now(session)
        counts = await leads.count_by_state(session, campaign.id)
        pool = await CallerPool.read(session, runtime.settings)
        callers = pool.of(campaign.caller_numbers)
        length = await waiting_leads.mean_call_seconds(session, campaign.id)
    pace = await possible_pace(runtime, campaign, len(callers), length)
    check = CampaignCheck(campaign, now, pace)
    for (state, outcome), count in counts.items():
        if outcome is not None:
            check.outcomes[outcome] = count
        elif state == "active":
            check.live = count
    look = _Look(runtime, campaign, check)
    async with runtime.sessions() as session:
        await look.read_rules(session, {campaign.template_id})
    async for session, page in waiting_leads.pages_of(runtime.sessions, campaign.id):
        known = await look.read(session, page)
        await asyncio.to_thread(look.consider, page, known)
    check.groups = look.groups()
    check.forecast = forecast(look.demands(), pace.calls_per_second, now)
    check.warnings = [*look.warnings(), *([] if callers else ["There is no number to call from."])]
    check.warnings += pace.warnings + await look.voice_warnings()
    return check


@dataclass(frozen=True)
class _Known:
    """What the database says of the numbers of a page."""

    suppressed: set[str]
    busy: set[str]
    pasts: Mapping[str, NumberPast]


class _Look:
    """Everything counted so far."""

    def __init__(self, runtime: Runtime, campaign: Campaign, check: CampaignCheck) -> None:
        self._runtime = runtime
        self._campaign = campaign
        self._check = check
        self._now = check.checked_at
        self._rules: dict[uuid.UUID, CallingRules] = {}
        self._openings: dict[CallingRules, Openings] = {}
        self._templates: dict[str, CallTemplate] = {}  # by slug and version
        self._groups: dict[tuple[object, ...], Group] = {}
        self._demands: Counter[tuple[datetime, datetime | None]] = Counter()

    async def read(self, session: AsyncSession, page: Sequence[WaitingRow]) -> _Known:
        """Ask for what is needed to judge a page, in a few queries."""
        await self.read_rules(session, {row.template_id for row in page})
        phones = {contact.phone for row in page for contact in row.contacts}
        spans = [looks_back(rules_for_any(rules).limits) for rules in self._rules.values()]
        back = max((span for span in spans if span is not None), default=None)
        return _Known(
            await suppressions.among(session, phones),
            await attempts.live_phones(session, phones),
            await number_history.pasts_of(session, phones, back, self._now) if back else {},
        )

    async def read_rules(self, session: AsyncSession, template_ids: set[uuid.UUID]) -> None:
        """The rules of these versions, once."""
        new = template_ids - self._rules.keys()
        for key, row in (await templates.many(session, new) if new else {}).items():
            template = template_of(row.body)
            self._templates[f"{row.slug} v{row.version}"] = template
            rules = rules_of(self._runtime.settings, self._campaign.hours, template)
            self._rules[key] = rules

    def consider(self, page: Sequence[WaitingRow], known: _Known) -> None:
        """Count a page. Pure computing: it runs beside the event loop."""
        for row in page:
            contact = _next_contact(row, known.suppressed)
            rules = self._rules[row.template_id]
            if contact is not None:
                rules = rules_for(rules, contact.phone, contact.timezone)
            openings = self._openings.get(rules) or Openings(rules.hours, self._now)
            self._openings[rules] = openings
            lead = _lead(row, contact, known)
            found = first_moment(lead, openings, rules.limits, self._now)
            self._count(lead, found, openings)

    def _count(self, lead: WaitingLead, found: Finding, openings: Openings) -> None:
        if found.at is None:
            self._check.not_at_all += 1
        elif found.reason is None:
            self._check.callable_now += 1
        else:
            self._check.callable_later += 1
        if found.at is not None:
            seconds = found.at.timestamp() // _BUCKET_SECONDS * _BUCKET_SECONDS
            opens = max(self._now, datetime.fromtimestamp(seconds, UTC))
            self._demands[opens, found.closes_at] += 1
        if found.reason is not None:
            self._group(lead, found, openings).add(found.at)

    def _group(self, lead: WaitingLead, found: Finding, openings: Openings) -> Group:
        zone, zones, until = None, 0, found.until
        if until is not None and len(self._groups) < MOST_GROUPS:
            zone, zones = openings.deciding_zone(lead.zones, until), len(lead.zones)
        else:
            until = None
        key = (found.reason, until, zone, zones)
        return self._groups.setdefault(key, Group(str(found.reason), until, zone, zones))

    def groups(self) -> list[Group]:
        """The largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def demands(self) -> list[Demand]:
        """How many calls may begin when."""
        return [Demand(opens, closes, n) for (opens, closes), n in self._demands.items()]

    async def voice_warnings(self) -> list[str]:
        """Templates whose voice no pod can be: their leads wait."""
        found = []
        for name, template in self._templates.items():
            with suppress(*STORE_ERRORS):  # the pace says that Redis is away
                lack = await lacking(self._runtime, pods_of(template))
                if lack:
                    found.append(f"Nobody is called with {name}: {'; '.join(lack)}.")
        return found

    def warnings(self) -> list[str]:
        """What an operator should know although it keeps nobody from being called."""
        if any(not is_limited(rules.hours) for rules in self._rules.values()):
            return ["No hours are set: people may be called at any time of the day and night."]
        return []


def _lead(row: WaitingRow, contact: WaitingContact | None, known: _Known) -> WaitingLead:
    return WaitingLead(
        zones=zones_of(contact.phone, contact.timezone) if contact else (),
        due_at=row.due_at,
        refused=row.refusal is not None,
        not_before=row.not_before,
        expires_at=row.expires_at,
        held=row.held_at is not None,
        suppressed=contact is None,
        busy=contact is not None and contact.phone in known.busy,
        asked_for=row.scheduled_by == ScheduledBy.PERSON,
        past=known.pasts.get(contact.phone) if contact else None,
    )


def _next_contact(row: WaitingRow, suppressed: set[str]) -> WaitingContact | None:
    """The claim passes suppressed numbers over."""
    return next((one for one in row.contacts if one.phone not in suppressed), None)
