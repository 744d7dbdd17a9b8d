"""The task that finds what was lost."""

from outdial.operations.run_sweeps import run_sweeps
from outdial.queueing.task_names import SWEEP
from outdial_workers.base_task import OutdialTask, door


@door(SWEEP)
def sweep(task: OutdialTask) -> None:
    """Look for lost work, and mend it."""
    task.run_operation(run_sweeps)
