"""Celery over Redis, set so that losing or repeating a message costs nothing.

A message carries ids and nothing else; what is true stands in Postgres. Each setting below answers
something that Celery was seen to do (docs/architecture.md, "Celery").
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from celery import Celery

from outdial.queueing.broker import Broker
from outdial.queueing.task_names import (
    DISPATCH,
    DISPATCH_EVERY_SECONDS,
    QUEUE_OF,
    SWEEP,
    SWEEP_QUEUE,
)
from outdial.settings import Settings

SWEEP_EVERY_SECONDS = 2.0


def make_celery(settings: Settings) -> Celery:
    """The Celery application of this deployment; nothing connects yet."""
    app = Celery(
        "outdial", amqp=Broker, broker=broker_url(settings.redis_url), set_as_current=False
    )
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # the default gives up after 100 tries
        broker_transport_options={
            "visibility_timeout": 120,  # no task lasts as long: see PLACE_ATTEMPTS
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 5,  # a Redis that hangs held a publisher for over 20 s
            "socket_connect_timeout": 3,
        },
        # Early acknowledgement loses the task of a worker that is killed.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_soft_shutdown_timeout=10.0,
        task_ignore_result=True,
        result_backend=None,
        # By queue only, over the default exchange: with a named one, what was published after a
        # FLUSHALL vanished without an error, its binding being gone.
        task_routes={name: {"queue": queue} for name, queue in QUEUE_OF.items()},
        task_serializer="json",
        accept_content=["json"],
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2},
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        enable_utc=True,
        beat_schedule=_ticks(),
        beat_max_loop_interval=1.0,
    )
    return app


def name_queues(app: Celery) -> None:
    """Tell Flower the queues: until a worker has, it shows one `celery` that nobody uses.

    They are what Celery makes of a route's queue by itself, so beat publishes as before.
    """
    queues: Any = app.amqp.queues
    app.conf.task_queues = [queues.new_missing(name) for name in sorted(set(QUEUE_OF.values()))]
    app.conf.task_default_queue = SWEEP_QUEUE  # each task has a route: nothing goes by default


def _ticks() -> dict[str, dict[str, object]]:
    """Every tick is idempotent and expires before the next: two beats, or none, do no harm."""
    return {
        "dispatch": {
            "task": DISPATCH,
            "schedule": DISPATCH_EVERY_SECONDS,
            "options": {"expires": DISPATCH_EVERY_SECONDS},
        },
        "sweep": {
            "task": SWEEP,
            "schedule": SWEEP_EVERY_SECONDS,
            "options": {"expires": SWEEP_EVERY_SECONDS},
        },
    }


def broker_url(redis_url: str) -> str:
    """`redis_url` as Celery writes it: a Unix socket is `redis+socket://` there."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    query = parse_qs(parts.query)
    database = query.get("db", ["0"])[0]
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"redis+socket://{login}{parts.path}?virtual_host={database}"
