"""Which ends count as having disturbed the person (PROTOCOL 3).

A spent attempt counts toward maxima, cooldowns and limits. One that is not spent never rang: it
backs off on a counter of its own.
"""

from outdial.domain.attempt_state import EndReason

NEVER_RANG: frozenset[EndReason] = frozenset(
    {EndReason.GATE_REFUSED, EndReason.CLAIM_EXPIRED, EndReason.NOT_SENT, EndReason.STOPPED}
)
"""Ends before the carrier heard of the call."""

UNSPENT_CODES: frozenset[int] = frozenset(
    {
        20429,  # too many requests: never processed
        10004,  # too many concurrent calls
        22005,  # more than a day of calls queued
        20003,  # bad credentials: ours to mend, and so are the next three
        21205,  # bad URL
        21210,  # caller number not ours
        21212,  # caller number not valid
    }
)
"""Codes of refused POSTs that say nothing about the number called."""


def is_spent(end_reason: EndReason, error_code: int | None = None) -> bool:
    """Whether an attempt that ended so counts. Doubt counts: the phone may have rung."""
    if end_reason is EndReason.REJECTED:
        return error_code not in UNSPENT_CODES
    return end_reason not in NEVER_RANG
