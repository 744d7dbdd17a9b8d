"""Celery with our tasks: `celery -A outdial_workers.worker_app worker`."""

import sys

from celery import signals

from outdial.observability.trace_setup import TracesError, check_traces, close_traces, open_traces
from outdial_workers import child_process, metrics_door
from outdial_workers.clock_app import app, settings

__all__ = ["app"]

try:
    check_traces()
except TracesError as error:
    sys.exit(str(error))

app.conf.imports = (
    "outdial_workers.dial_tasks",
    "outdial_workers.settle_tasks",
    "outdial_workers.sweep_tasks",
)


def _open_child(**_: object) -> None:
    open_traces("workers")  # here and not before the fork: no thread survives one
    child_process.open_child(settings)


def _close_child(**_: object) -> None:
    child_process.close_child()
    close_traces()


def _open_door(**_: object) -> None:
    metrics_door.open_metrics_door(settings.host, settings.workers_metrics_port)


def _forget_child(pid: int | None = None, **_: object) -> None:
    if pid is not None:
        metrics_door.forget_child(pid)


def _remove_folder(**_: object) -> None:
    metrics_door.remove_folder()


signals.worker_process_init.connect(_open_child)
signals.worker_process_shutdown.connect(_close_child)
signals.worker_ready.connect(_open_door)
signals.worker_process_shutdown.connect(_forget_child)
signals.worker_shutdown.connect(_remove_folder)
