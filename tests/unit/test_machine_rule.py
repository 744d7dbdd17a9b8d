"""What a verdict of machine detection leads to."""

import pytest

from outdial.domain.attempt_state import Plan
from outdial.domain.machine_rule import TOOLS_OF_A_PERSON, MachineAction, on_verdict

pytestmark = pytest.mark.unit

IGNORE, HANG_UP, LEAVE = MachineAction.IGNORE, MachineAction.HANG_UP, MachineAction.LEAVE_MESSAGE


@pytest.mark.parametrize("verdict", ["human", "unknown", "", "something new"])
def test_what_is_no_machine_is_ignored(verdict: str) -> None:
    assert on_verdict(verdict, 0, (), Plan.CONVERSATION, "leave_message") is IGNORE


@pytest.mark.parametrize(
    "verdict", ["machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other"]
)
@pytest.mark.parametrize(("mode", "action"), [("leave_message", LEAVE), ("hang_up", HANG_UP)])
@pytest.mark.parametrize("turns", [0, 1])
def test_a_machine_gets_what_the_template_says(
    verdict: str, mode: str, action: MachineAction, turns: int
) -> None:
    assert on_verdict(verdict, turns, (), Plan.CONVERSATION, mode) is action  # type: ignore[arg-type]


def test_nobody_leaves_a_message_on_a_fax() -> None:
    assert on_verdict("fax", 0, (), Plan.CONVERSATION, "leave_message") is HANG_UP


@pytest.mark.parametrize("verdict", ["machine_end_beep", "fax"])
def test_two_turns_of_talk_refute_the_verdict(verdict: str) -> None:
    assert on_verdict(verdict, 2, (), Plan.CONVERSATION, "leave_message") is IGNORE


@pytest.mark.parametrize("tool", sorted(TOOLS_OF_A_PERSON))
def test_what_a_person_decided_refutes_the_verdict(tool: str) -> None:
    assert on_verdict("machine_start", 0, {tool}, Plan.CONVERSATION, "hang_up") is IGNORE


@pytest.mark.parametrize("tool", ["voicemail_reached", "send_digits"])
def test_other_tools_do_not(tool: str) -> None:
    assert on_verdict("machine_start", 0, {tool}, Plan.CONVERSATION, "hang_up") is HANG_UP


@pytest.mark.parametrize("plan", [Plan.VOICEMAIL, Plan.TRANSFER, Plan.HANGUP])
@pytest.mark.parametrize("verdict", ["machine_end_beep", "fax"])
def test_what_was_decided_before_stands(plan: Plan, verdict: str) -> None:
    assert on_verdict(verdict, 0, (), plan, "leave_message") is IGNORE
