"""What to do when machine detection gives its verdict while the conversation goes on.

Detection errs in both directions. Whoever said two things, or answered what was asked, is a person
whatever the verdict says; and what was decided before stands.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Literal

from outdial.domain.attempt_state import Plan


class MachineAction(StrEnum):
    """What follows from a verdict."""

    IGNORE = "ignore"
    HANG_UP = "hang_up"
    LEAVE_MESSAGE = "leave_message"


HUMAN_TURNS_OF_A_PERSON = 2
"""One may be a greeting on tape; nobody's tape answers."""

TOOLS_OF_A_PERSON: frozenset[str] = frozenset(
    {"record_outcome", "opt_out", "schedule_callback", "wrong_person", "transfer_to_human"}
)
"""Tools that the agent calls for what a person said."""


def on_verdict(
    verdict: str,
    human_turns: int,
    tools_called: Collection[str],
    plan: Plan,
    mode: Literal["leave_message", "hang_up"],
) -> MachineAction:
    """The action for Twilio's `AnsweredBy`; `mode` is what the template wants on a machine."""
    is_fax = verdict == "fax"
    if not is_fax and not verdict.startswith("machine"):
        return MachineAction.IGNORE
    if plan is not Plan.CONVERSATION:
        return MachineAction.IGNORE
    if human_turns >= HUMAN_TURNS_OF_A_PERSON or not TOOLS_OF_A_PERSON.isdisjoint(tools_called):
        return MachineAction.IGNORE
    if is_fax or mode == "hang_up":
        return MachineAction.HANG_UP
    return MachineAction.LEAVE_MESSAGE
