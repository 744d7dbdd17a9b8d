"""A lead is one piece of work: `backlog → active → (retry → active)* → finished`.

`backlog` and `retry` wait on `next_attempt_at`. Pause and hold are not states of a lead: a paused
campaign is one row, however many leads it has.
"""

from enum import StrEnum


class LeadState(StrEnum):
    """Where a lead stands."""

    BACKLOG = "backlog"
    ACTIVE = "active"
    RETRY = "retry"
    FINISHED = "finished"


DUE_STATES = frozenset({LeadState.BACKLOG, LeadState.RETRY})
"""States from which a lead can be claimed."""

TRANSITIONS: dict[LeadState, frozenset[LeadState]] = {
    LeadState.BACKLOG: frozenset({LeadState.ACTIVE, LeadState.FINISHED}),
    LeadState.ACTIVE: frozenset({LeadState.RETRY, LeadState.BACKLOG, LeadState.FINISHED}),
    LeadState.RETRY: frozenset({LeadState.ACTIVE, LeadState.FINISHED}),
    # A fact that came late (a recording, a verdict) may have the decision taken again, as long as
    # nothing has acted on it: operations check that with the lead's version.
    LeadState.FINISHED: frozenset({LeadState.RETRY}),
}
"""Every move there is. `active → backlog` is a claim that ended unspent before the first dial."""


def may_move(current: LeadState, to: LeadState) -> bool:
    """Whether a lead in `current` may become `to`."""
    return to in TRANSITIONS[current]


class ScheduledBy(StrEnum):
    """Who set the time at which a lead is due."""

    POLICY = "policy"
    PERSON = "person"
    OPERATOR = "operator"
