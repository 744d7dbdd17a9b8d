"""Tasks that follow from what was heard of a call."""

from uuid import UUID

from outdial.operations.settle_attempt import settle_if_told
from outdial.queueing.task_names import SETTLE_ATTEMPT
from outdial_workers.base_task import OutdialTask, door


@door(SETTLE_ATTEMPT)
def settle_attempt(task: OutdialTask, attempt_id: str) -> None:
    """Read the events of an attempt, and do what follows."""
    task.run_operation(settle_if_told, UUID(attempt_id))
