"""Take the numbers of the carrier's account into the pool that calls come from.

Nothing is taken out of it: a number that the account does not own may still be a caller id that it
has verified. Whoever runs this again adds nothing.
"""

from dataclasses import dataclass

import structlog

from outdial.domain.errors import Unavailable
from outdial.operations.runtime import Runtime
from outdial.storage import numbers
from outdial.telephony.dial_result import CarrierAway

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class NumberSync:
    """What was found in the account, in E.164."""

    added: tuple[str, ...]
    known: tuple[str, ...]  # in the pool before
    no_voice: tuple[str, ...]  # cannot call, and is left out
    not_in_account: tuple[str, ...]  # in the pool, and stays there


async def sync_numbers(runtime: Runtime) -> NumberSync:
    """Add the account's numbers that can call; tell which of the pool are not the account's.

    Raises:
        Unavailable: the carrier does not list them just now; nothing was changed.

    """
    owned = await runtime.carrier.list_numbers()
    if isinstance(owned, CarrierAway):
        raise Unavailable(f"The carrier does not list its numbers: {owned.reason}")
    added: list[str] = []
    known: list[str] = []
    async with runtime.sessions.begin() as session:
        for number in sorted(owned, key=lambda one: one.phone):
            if number.can_call:
                new = await numbers.add(session, number.phone, number.label)
                (added if new else known).append(number.phone)
        pool = {number.phone for number in await numbers.all_numbers(session)}
    missing = pool - {number.phone for number in owned}
    mute = sorted(number.phone for number in owned if not number.can_call)
    _log.info("numbers_synced", added=len(added), known=len(known), not_in_account=len(missing))
    if added:
        runtime.hints.dispatch()
    return NumberSync(tuple(added), tuple(known), tuple(mute), tuple(sorted(missing)))
