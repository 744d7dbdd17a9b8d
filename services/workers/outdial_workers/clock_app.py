"""Celery without our tasks: `celery -A outdial_workers.clock_app beat | flower`.

Both only name tasks. To load them, and all that they do, doubles what the two need to start.
"""

import sys

from celery import signals

from outdial.observability.logs import set_up_logs
from outdial.queueing.celery_app import make_celery, name_queues
from outdial.settings import Settings, SettingsError, load_settings


def _settings() -> Settings:
    try:
        return load_settings("workers")
    except SettingsError as error:
        sys.exit(str(error))


settings = _settings()
app = make_celery(settings)
name_queues(app)
app.set_current()


def _set_up_logs(**_: object) -> None:
    """Our lines instead of Celery's: having a receiver is what keeps Celery from its own."""
    set_up_logs(settings)


signals.setup_logging.connect(_set_up_logs)
