"""Prometheus' numbers of a worker and all of its children, on a port of their own."""

import os
import shutil

import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_log = structlog.get_logger(__name__)

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def open_metrics_door(host: str, port: int) -> None:
    """Serve `/metrics`; nothing without a port (0), or without the folder that children write to.

    The folder is made when `OUTDIAL_WORKERS_METRICS_PORT` stands in the environment.
    """
    if not port or _FOLDER not in os.environ:
        return
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    start_http_server(port, addr=host, registry=registry)
    _log.info("metrics_served", port=port)


def forget_child(pid: int) -> None:
    """A child ended: its gauges count no more."""
    if _FOLDER in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]


def remove_folder() -> None:
    """The worker ends."""
    if _FOLDER in os.environ:
        shutil.rmtree(os.environ[_FOLDER], ignore_errors=True)
