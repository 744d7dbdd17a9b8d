"""Tasks that follow from what was heard of a call."""

from collections.abc import Sequence
from uuid import UUID

from outdial.operations.settle_attempt import settle_those_told
from outdial.queueing.task_names import SETTLE_ATTEMPTS
from outdial_workers.base_task import OutdialTask, door


@door(SETTLE_ATTEMPTS)
def settle_attempts(task: OutdialTask, attempt_ids: Sequence[str]) -> None:
    """Read the events of attempts, and do what follows."""
    task.run_operation(settle_those_told, [UUID(attempt_id) for attempt_id in attempt_ids])
