"""What the gates ask of the database right before a POST, in one statement."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from outdial.storage.tables import Attempt


@dataclass(frozen=True)
class LastLook:
    """How things stand for a queued attempt. The calls that are live count it, too."""

    now: datetime  # by the database's clock
    has_contact: bool
    timezone: str | None  # the contact's own
    is_suppressed: bool
    is_calling_us: bool  # a call from this number is live
    is_caller_set_aside: bool
    live_in_all: int
    live_in_campaign: int


_LOOK = text("""
    SELECT
        clock_timestamp() AS now,
        contact.id IS NOT NULL AS has_contact,
        contact.timezone,
        EXISTS (SELECT 1 FROM suppressions WHERE phone = :phone) AS is_suppressed,
        EXISTS (
            SELECT 1 FROM attempts
            WHERE state <> 'ended' AND phone = :phone AND direction = 'inbound'
        ) AS is_calling_us,
        EXISTS (
            SELECT 1 FROM numbers WHERE phone = :caller AND status = 'set_aside'
        ) AS is_caller_set_aside,
        live.in_all AS live_in_all,
        live.in_campaign AS live_in_campaign
    FROM (
        SELECT count(*) AS in_all, count(*) FILTER (WHERE campaign_id = :campaign) AS in_campaign
        FROM attempts WHERE state <> 'ended'
    ) AS live
    LEFT JOIN contacts AS contact ON contact.id = :contact AND contact.lead_id = :lead
""")


async def last_look(session: AsyncSession, attempt: Attempt) -> LastLook:
    """Look once, under the locks of number and campaign.

    A statement sees what was committed when it began: one that began before a lock was ours would
    not see what its last holder wrote. So this one must come after every lock.
    """
    about = {
        "phone": attempt.phone,
        "caller": attempt.caller_number,
        "campaign": attempt.campaign_id,
        "contact": attempt.contact_id,
        "lead": attempt.lead_id,
    }
    return LastLook(**(await session.execute(_LOOK, about)).mappings().one())
