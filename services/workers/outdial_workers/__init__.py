"""Celery tasks: thin doors to operations."""

import os
import tempfile

# Children count in files that the worker's metrics door sums up. prometheus_client looks for the
# folder when it is imported, so it is named before anything else is.
if os.environ.get("OUTDIAL_WORKERS_METRICS_PORT", "0") not in {"", "0"}:
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="outdial-metrics-"))
