"""An attempt is one dial of one contact. This is its whole life.

`queued → dialing → initiated → ringing → in_progress → ended`, and `dialing → unknown` when the
carrier's answer was lost. Any live state may move to any later one or to `ended`, because the
first callback that arrives may already be the last. Nothing leaves `ended`.
"""

from enum import StrEnum


class AttemptState(StrEnum):
    """Where an attempt stands."""

    QUEUED = "queued"
    DIALING = "dialing"
    UNKNOWN = "unknown"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in_progress"
    ENDED = "ended"


LIVE_STATES: frozenset[AttemptState] = frozenset(AttemptState) - {AttemptState.ENDED}
"""States in which the phone may ring: at most one such attempt per lead and per number."""

_AFTER_SID = (
    AttemptState.INITIATED,
    AttemptState.RINGING,
    AttemptState.IN_PROGRESS,
    AttemptState.ENDED,
)

TRANSITIONS: dict[AttemptState, frozenset[AttemptState]] = {
    AttemptState.QUEUED: frozenset({AttemptState.DIALING, AttemptState.ENDED}),
    AttemptState.DIALING: frozenset({AttemptState.UNKNOWN, *_AFTER_SID}),
    AttemptState.UNKNOWN: frozenset(_AFTER_SID),
    AttemptState.INITIATED: frozenset(_AFTER_SID[1:]),
    AttemptState.RINGING: frozenset(_AFTER_SID[2:]),
    AttemptState.IN_PROGRESS: frozenset({AttemptState.ENDED}),
    AttemptState.ENDED: frozenset(),
}
"""Every move there is. What is not here cannot happen."""


def may_move(current: AttemptState, to: AttemptState) -> bool:
    """Whether an attempt in `current` may become `to`."""
    return to in TRANSITIONS[current]


def advance(current: AttemptState, seen: AttemptState) -> AttemptState:
    """The state after a fact that proves `seen`: forward if the table allows it, else unchanged."""
    return seen if may_move(current, seen) else current


class Plan(StrEnum):
    """What the call is meant to do next; committed before a socket is closed on purpose."""

    CONVERSATION = "conversation"
    VOICEMAIL = "voicemail"
    TRANSFER = "transfer"
    HANGUP = "hangup"


class StopReason(StrEnum):
    """Why we ended, or will end, a call ourselves. It outranks whatever status follows."""

    OPTED_OUT = "opted_out"
    CANCELED = "canceled"
    EXPIRED = "expired"
    ZOMBIE = "zombie"


class EndReason(StrEnum):
    """What ended an attempt."""

    CARRIER = "carrier"  # a terminal call status
    REJECTED = "rejected"  # the carrier refused the POST
    GATE_REFUSED = "gate_refused"  # a gate closed between claim and POST
    CLAIM_EXPIRED = "claim_expired"  # no worker placed it in time
    NOT_SENT = "not_sent"  # provably never reached the carrier
    STOPPED = "stopped"  # operator or opt-out, before it was dialed
    UNKNOWN_EXPIRED = "unknown_expired"  # never found again at the carrier
