"""A machine has answered: the pod leaves the message, or the call is hung up.

Carrier and model may both notice; one of them wins by compare-and-set on the attempt's plan. The
pod hears of it on a Postgres channel and speaks on the stream that is open.
"""

from uuid import UUID

import structlog

from outdial.domain.attempt_state import Plan
from outdial.domain.call_template import CallTemplate
from outdial.domain.machine_rule import MachineAction, on_verdict
from outdial.operations.parse_template import template_of
from outdial.operations.runtime import Runtime
from outdial.storage import attempts, plan_changes, templates, transcripts
from outdial.telephony.dial_result import NotUpdated

_log = structlog.get_logger(__name__)


async def leave_voicemail(runtime: Runtime, attempt_id: UUID) -> bool:
    """Commit that the call leaves a message; False if something else was decided before."""
    return await _change_plan(runtime, attempt_id, Plan.VOICEMAIL)


async def hang_up_on_machine(runtime: Runtime, attempt_id: UUID) -> bool:
    """Commit that the call ends, then end it; False if something else was decided before."""
    if not await _change_plan(runtime, attempt_id, Plan.HANGUP):
        return False
    async with runtime.sessions() as session:
        attempt = await attempts.get(session, attempt_id)
    if attempt is not None and attempt.call_sid is not None:
        result = await runtime.carrier.end_call(attempt.call_sid)
        if isinstance(result, NotUpdated):  # the pod has heard of the plan and hangs up, too
            _log.warning("machine_not_hung_up", call_sid=attempt.call_sid, reason=result.reason)
    return True


async def act_on_verdict(runtime: Runtime, attempt_id: UUID, verdict: str) -> MachineAction:
    """Do what the rule says of the carrier's verdict; the action that was taken."""
    action = await _decide(runtime, attempt_id, verdict)
    won = True
    if action is MachineAction.LEAVE_MESSAGE:
        won = await leave_voicemail(runtime, attempt_id)
    elif action is MachineAction.HANG_UP:
        won = await hang_up_on_machine(runtime, attempt_id)
    return action if won else MachineAction.IGNORE


async def _decide(runtime: Runtime, attempt_id: UUID, verdict: str) -> MachineAction:
    async with runtime.sessions() as session:
        attempt = await attempts.get(session, attempt_id)
        if attempt is None:
            return MachineAction.IGNORE
        row = await templates.get(session, attempt.template_id)
        turns = await transcripts.conversation_of(session, attempt_id)
        tools = await transcripts.tool_calls_of(session, attempt_id)
    template: CallTemplate | None = template_of(row.body) if row else None
    return on_verdict(
        verdict,
        human_turns=sum(turn.role == "person" for turn in turns),
        tools_called={tool.name for tool in tools},
        plan=Plan(attempt.plan),
        mode=template.voicemail.mode if template else "hang_up",
    )


async def _change_plan(runtime: Runtime, attempt_id: UUID, to: Plan) -> bool:
    async with runtime.sessions.begin() as session:
        won = await attempts.change_plan(session, attempt_id, Plan.CONVERSATION, to)
        if won:
            await plan_changes.announce(session, attempt_id)
    return won
