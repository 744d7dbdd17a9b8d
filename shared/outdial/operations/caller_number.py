"""Which of our numbers each call of a dispatch comes from."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.domain.caller_numbers import CallerNumber, choose_caller
from outdial.domain.dial_gates import SOON, Reason, Refused
from outdial.operations.calling_rules import caller_rules_of
from outdial.settings import Settings
from outdial.storage import attempts, numbers
from outdial.storage.tables import Campaign, Lead

ACTIVE = "active"


class CallerPool:
    """Our numbers as a dispatch saw them, and what it gave away since.

    Read and written under the account's lock: nobody else hands out numbers meanwhile.
    """

    def __init__(
        self, settings: Settings, known: Sequence[CallerNumber], set_aside: frozenset[str]
    ) -> None:
        self._rules = caller_rules_of(settings)
        self._default = settings.twilio_phone_number
        self._known = {own.phone: own for own in known}
        self._set_aside = set_aside
        self._used: dict[str, datetime] = {}

    @classmethod
    async def read(cls, session: AsyncSession, settings: Settings) -> "CallerPool":
        """Every number, and its live calls."""
        live = await attempts.count_live_by_caller(session)
        rows = await numbers.all_numbers(session)
        known = [
            CallerNumber(row.phone, row.last_used_at, live.get(row.phone, 0))
            for row in rows
            if row.status == ACTIVE
        ]
        gone = frozenset(row.phone for row in rows if row.status != ACTIVE)
        return cls(settings, known, gone)

    def choose(self, to: str, campaign: Campaign, lead: Lead, now: datetime) -> str | Refused:
        """The lead's own number, else one of the campaign's, else the deployment's.

        Each may be refused: set aside, resting, or with as many live calls as it may have.
        """
        pool = self.of(campaign.caller_numbers, lead.caller_number)
        if not pool:
            return Refused(Reason.NO_CALLER_NUMBER, now + SOON)
        chosen = choose_caller(to, pool, self._rules, now)
        return chosen if isinstance(chosen, Refused) else chosen.phone

    def of(self, campaign_numbers: Sequence[str], own: str | None = None) -> list[CallerNumber]:
        """The numbers that a lead may be called from; none if all were set aside."""
        if own:
            return self._usable([own])
        if campaign_numbers:
            return self._usable(campaign_numbers)
        if self._default and (usable := self._usable([self._default])):
            return usable
        return list(self._known.values())

    def take(self, phone: str, now: datetime) -> None:
        """A call will come from this number."""
        before = self._known.get(phone) or CallerNumber(phone)
        self._known[phone] = replace(before, last_used_at=now, live=before.live + 1)
        self._used[phone] = now

    async def write(self, session: AsyncSession) -> None:
        """Keep when each number was used."""
        await numbers.mark_used(session, self._used)

    def _usable(self, phones: Sequence[str]) -> list[CallerNumber]:
        """A number that nobody has listed is usable: nothing speaks against it."""
        wanted = (phone for phone in phones if phone not in self._set_aside)
        return [self._known.get(phone) or CallerNumber(phone) for phone in wanted]
