"""The one base of all tasks: a task is a door, what it does is one operation."""

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from celery import Task, current_app

from outdial.operations.ask_in_time import STORE_ERRORS
from outdial.operations.runtime import Runtime
from outdial.operations.store_outages import look_for_stores, store_failed
from outdial_workers.child_process import current_child

P = ParamSpec("P")
T = TypeVar("T")


class OutdialTask(Task):  # type: ignore[misc]
    """Runs an operation on the child's loop.

    A store that is away fails the task without a retry: whatever it did not do is found by the
    next tick or sweep. The log has a line when the store goes, and one when it is back.
    """

    abstract = True
    ignore_result = True

    def run_operation(
        self,
        operation: Callable[Concatenate[Runtime, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        """`operation(runtime, *args)`, to its end; None if a store was away."""
        child = current_child()

        async def work() -> T:
            done = await operation(child.runtime, *args, **kwargs)
            await look_for_stores(child.runtime)
            return done

        with structlog.contextvars.bound_contextvars(task=self.name, task_id=self._id()):
            try:
                return child.run(work())
            except STORE_ERRORS as error:
                store_failed(child.runtime, error)
                return None

    def _id(self) -> Any:
        return self.request.id


def door(name: str) -> Callable[[Callable[Concatenate[OutdialTask, P], None]], Task]:
    """Make a function the task `name` of the current application."""

    def register(body: Callable[Concatenate[OutdialTask, P], None]) -> Task:
        return current_app.task(body, base=OutdialTask, bind=True, name=name)

    return register
