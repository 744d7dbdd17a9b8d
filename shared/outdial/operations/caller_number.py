"""Which of our numbers a call comes from."""

from sqlalchemy.ext.asyncio import AsyncSession

from outdial.settings import Settings
from outdial.storage import numbers
from outdial.storage.tables import Campaign, Lead


async def choose_caller_number(
    session: AsyncSession, settings: Settings, campaign: Campaign, lead: Lead
) -> str | None:
    """The lead's own, else the campaign's that rested longest, else the deployment's.

    None if there is none, or each of them was set aside.
    """
    if lead.caller_number:
        return lead.caller_number if await _is_usable(session, lead.caller_number) else None
    if campaign.caller_numbers:
        rested = await numbers.least_used(session, campaign.caller_numbers)
        return rested or await _unregistered(session, campaign.caller_numbers)
    if settings.twilio_phone_number and await _is_usable(session, settings.twilio_phone_number):
        return settings.twilio_phone_number
    return await numbers.least_used(session)


async def _is_usable(session: AsyncSession, phone: str) -> bool:
    number = await numbers.get(session, phone)
    return number is None or number.status == "active"


async def _unregistered(session: AsyncSession, phones: list[str]) -> str | None:
    """One of a campaign's numbers that nobody has listed: nothing speaks against it."""
    for phone in phones:
        if await numbers.get(session, phone) is None:
            return phone
    return None
