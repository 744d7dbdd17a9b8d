"""Celery tasks: thin doors to operations."""

import os
import tempfile

# Children count in files that the worker's metrics door sums up. prometheus_client decides for
# them when it is imported, and Celery imports it first (Flower adds a command): so it decides
# again here, before there is any metric of ours.
if os.environ.get("OUTDIAL_WORKERS_METRICS_PORT", "0") not in {"", "0"}:
    from prometheus_client import values

    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="outdial-metrics-"))
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
