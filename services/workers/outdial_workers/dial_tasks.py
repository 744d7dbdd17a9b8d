"""Tasks that lead to a call."""

from collections.abc import Sequence
from uuid import UUID

from outdial.operations.claim_due_leads import dispatch as claim_due_leads
from outdial.operations.place_attempt import place_attempts as place
from outdial.queueing.task_names import DISPATCH, PLACE_ATTEMPTS
from outdial_workers.base_task import OutdialTask, door


@door(DISPATCH)
def dispatch(task: OutdialTask) -> None:
    """Claim due leads."""
    task.run_operation(claim_due_leads)


@door(PLACE_ATTEMPTS)
def place_attempts(task: OutdialTask, attempt_ids: Sequence[str]) -> None:
    """Dial queued attempts, each at its departure."""
    task.run_operation(place, [UUID(attempt_id) for attempt_id in attempt_ids])
