"""One campaign's due leads, looked at one by one: claimed, refused or finished."""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.call_outcome import Outcome
from outdial.domain.call_template import Pods
from outdial.domain.dial_gates import SOON, Reason, Refused
from outdial.domain.lead_state import LeadState
from outdial.domain.limits import LiveCalls, NumberPast, looks_back
from outdial.domain.retry_policy import LeadView, NextContact, pass_over
from outdial.domain.voice_services import pods_of
from outdial.observability import traces
from outdial.operations.caller_number import CallerPool
from outdial.operations.calling_rules import CallingRules, rules_for, rules_for_any, rules_of
from outdial.operations.check_gates import Candidate, check_gates
from outdial.operations.enqueue_call import SYSTEM_PREFIX
from outdial.operations.parse_template import template_of
from outdial.operations.runtime import Runtime
from outdial.operations.trace_attempt import span_of_claim
from outdial.operations.voice_pods import lacking
from outdial.routing.slot_reservation import NoRoom, Slot, reserve
from outdial.storage import attempts, leads, number_history, suppressions, templates
from outdial.storage.ids import new_id
from outdial.storage.leads import Refusal
from outdial.storage.tables import Campaign, Contact, Lead

LOOK_AT_LEAST = 50
"""Leads read at a time; a campaign whose leads are refused must not take a query for each."""

FEW_PODS = timedelta(seconds=5)
"""Until a lead is looked at again whose template takes only pods of its own kind."""


@dataclass(frozen=True)
class Claim:
    """A lead whose call is about to be written."""

    lead_id: uuid.UUID
    row: dict[str, object]
    span: traces.Span = traces.NOTHING  # sent once it is committed

    @property
    def attempt_id(self) -> uuid.UUID:
        """The attempt's id, under which its slot is reserved already."""
        return uuid.UUID(str(self.row["id"]))


@dataclass(frozen=True)
class _Batch:
    """Leads that are looked at together, with what the gates want to know of them."""

    leads: Sequence[Lead]
    contacts: Mapping[uuid.UUID, list[Contact]]
    rules: Mapping[uuid.UUID, CallingRules]  # by template
    wanted: Mapping[uuid.UUID, Pods]  # by template
    suppressed: set[str]
    pasts: Mapping[str, NumberPast]
    busy_phones: set[str]
    busy_branches: set[str]


class ClaimRound:
    """What one dispatch has seen and decided so far. Everything happens in its transaction."""

    def __init__(
        self,
        runtime: Runtime,
        session: AsyncSession,
        now: datetime,
        live: Mapping[uuid.UUID | None, int],
        callers: CallerPool,
    ) -> None:
        self._runtime = runtime
        self._session = session
        self.now = now
        self.live = dict(live)
        self._callers = callers
        self.refused: Counter[str] = Counter()
        self.finished = 0
        self.out_of_slots = False
        self.leftover: list[uuid.UUID] = []  # reserved, and then not written
        self._phones: set[str] = set()
        self._branches: set[str] = set()
        self._refusals: list[Refusal] = []  # of the leads in hand: written together

    def room_in(self, campaign: Campaign) -> int:
        """How many more calls the campaign may have."""
        return self._limits(campaign).room

    async def claim(self, campaign: Campaign, share: int) -> tuple[list[Claim], bool]:
        """Claim up to `share` leads of a campaign; whether it has no more that are due."""
        want = max(share, LOOK_AT_LEAST)
        due = await leads.lock_due(self._session, campaign.id, want)
        batch = await self._read(campaign, due)
        claims: list[Claim] = []
        exhausted = False
        for lead in batch.leads:
            if len(claims) == share or self.out_of_slots:
                break
            claim = await self._consider(campaign, lead, batch)
            if claim is not None:
                claims.append(claim)
        else:
            exhausted = len(batch.leads) < want
        await self._write_refusals()
        return claims, exhausted

    async def lost_race(self, claim: Claim) -> None:
        """Its number, lead or branch got a live call after we looked."""
        self.leftover.append(claim.attempt_id)
        self._refuse(claim.lead_id, Reason.NUMBER_BUSY, self.now + SOON)
        await self._write_refusals()

    async def _read(self, campaign: Campaign, due: list[Lead]) -> _Batch:
        contacts = await leads.contacts_of(self._session, [lead.id for lead in due])
        phones = {contact.phone for several in contacts.values() for contact in several}
        branches = {lead.branch_key for lead in due if lead.branch_key is not None}
        rows = await templates.many(self._session, {lead.template_id for lead in due})
        settings = self._runtime.settings
        rules = {
            key: rules_of(settings, campaign.hours, template_of(row.body))
            for key, row in rows.items()
        }
        return _Batch(
            due,
            contacts,
            rules,
            {key: pods_of(template_of(row.body)) for key, row in rows.items()},
            await suppressions.among(self._session, phones),
            await self._pasts(phones, rules.values()),
            await attempts.live_phones(self._session, phones),
            await attempts.live_branches(self._session, branches),
        )

    async def _pasts(
        self, phones: set[str], rules: Iterable[CallingRules]
    ) -> dict[str, NumberPast]:
        """As far back as any limit looks. Peeked at here; it counts once more before the POST."""
        limits = [rules_for_any(one).limits for one in rules]
        spans = [span for one in limits if (span := looks_back(one)) is not None]
        if not spans:
            return {}
        return await number_history.pasts_of(self._session, phones, max(spans), self.now)

    async def _consider(self, campaign: Campaign, lead: Lead, batch: _Batch) -> Claim | None:
        contacts = batch.contacts.get(lead.id, [])
        contact = next((c for c in contacts if c.position == lead.contact_position), None)
        if contact is None:
            await self._finish(lead, Outcome.INVALID_NUMBER)
            return None
        rules = rules_for(batch.rules[lead.template_id], contact.phone, contact.timezone)
        verdict = check_gates(
            Candidate(lead, contact.phone, contact.timezone, campaign, rules),
            suppressed=contact.phone in batch.suppressed,
            past=batch.pasts.get(contact.phone),
            live=self._limits(campaign),
            now=self.now,
        )
        if isinstance(verdict, Refused):
            await self._turn_away(lead, len(contacts), verdict)
            return None
        if self._is_busy(lead, contact, batch):
            self._refuse(lead.id, Reason.NUMBER_BUSY, self.now + SOON)
            return None
        return await self._take(campaign, lead, contact, batch.wanted[lead.template_id])

    async def _turn_away(self, lead: Lead, contacts: int, verdict: Refused) -> None:
        """Some refusals end a lead or a contact; the others are asked again later."""
        if verdict.reason is Reason.EXPIRED:
            self.refused[Reason.EXPIRED] += 1
            await self._finish(lead, Outcome.EXPIRED)
        elif verdict.reason is Reason.SUPPRESSED:
            await self._pass_over(lead, contacts)
        else:
            again = verdict.not_before
            if lead.expires_at is not None:
                again = min(again, lead.expires_at)
            self._refuse(lead.id, verdict.reason, again)

    async def _pass_over(self, lead: Lead, contacts: int) -> None:
        """A suppressed number: the lead's next contact, or the end of the lead."""
        self.refused[Reason.SUPPRESSED] += 1
        view = LeadView(contacts, lead.expires_at)
        decision = pass_over(view, lead.contact_position, Outcome.SUPPRESSED, self.now)
        if isinstance(decision, NextContact):
            state = LeadState(lead.state)
            await leads.schedule(self._session, lead.id, decision.contact, decision.at, state=state)
        else:
            await self._finish(lead, Outcome.SUPPRESSED)

    def _is_busy(self, lead: Lead, contact: Contact, batch: _Batch) -> bool:
        phones, branches = self._phones | batch.busy_phones, self._branches | batch.busy_branches
        return contact.phone in phones or lead.branch_key in branches

    async def _take(
        self, campaign: Campaign, lead: Lead, contact: Contact, wanted: Pods
    ) -> Claim | None:
        caller = self._callers.choose(contact.phone, campaign, lead, self.now)
        if isinstance(caller, Refused):
            self._refuse(lead.id, caller.reason, caller.not_before)
            return None
        attempt_id = new_id()
        lease = self._runtime.settings.claim_lease_seconds
        pod: dict[str, object] = {}
        if self._runtime.settings.routing != "static":
            slot = await reserve(self._runtime.redis, attempt_id, lease, wanted=wanted)
            if isinstance(slot, NoRoom) and not wanted.spill:
                # Only its own pods are full: that keeps nobody else waiting.
                none_can = await lacking(self._runtime, wanted)
                reason = Reason.NO_VOICE_SERVICE if none_can else Reason.NO_MEDIA_SLOT
                self._refuse(lead.id, reason, self.now + FEW_PODS)
                return None
            if not isinstance(slot, Slot):
                self.out_of_slots = True  # the lead stays at the head of the queue
                return None
            pod = {"pod": slot.pod_id, "boot_id": slot.boot_id}
        self._callers.take(caller, self.now)
        self._phones.add(contact.phone)
        self._branches |= {lead.branch_key} if lead.branch_key is not None else set()
        self.live[campaign.id] = self.live.get(campaign.id, 0) + 1
        row: dict[str, object] = {
            "id": attempt_id,
            "lead_id": lead.id,
            "contact_id": contact.id,
            "campaign_id": campaign.id,
            "template_id": lead.template_id,
            "branch_key": lead.branch_key,
            "phone": contact.phone,
            "caller_number": caller,
            "hinted_at": self.now,
            "claim_expires_at": self.now + timedelta(seconds=lease),
        }
        asked_for = campaign.name.startswith(SYSTEM_PREFIX)
        return Claim(lead.id, row | pod, span_of_claim(lead, asked_for=asked_for))

    def _limits(self, campaign: Campaign) -> LiveCalls:
        return LiveCalls(
            in_all=sum(self.live.values()),
            in_campaign=self.live.get(campaign.id, 0),
            max_in_all=self._runtime.settings.max_live_calls,
            max_in_campaign=campaign.max_live_calls,
        )

    def _refuse(self, lead_id: uuid.UUID, reason: Reason, again: datetime) -> None:
        self.refused[reason] += 1
        self._refusals.append(Refusal(lead_id, reason, again))

    async def _write_refusals(self) -> None:
        await leads.refuse_all(self._session, self._refusals)
        self._refusals.clear()

    async def _finish(self, lead: Lead, outcome: Outcome) -> None:
        self.finished += 1
        await leads.finish(self._session, lead.id, outcome)
