"""What Celery's workers do with their connection when the broker goes away under them."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from outdial.queueing.celery_app import make_celery
from outdial.queueing.task_names import DISPATCH, SWEEP_QUEUE
from outdial.settings import Settings

pytestmark = pytest.mark.integration


def test_work_that_ends_after_its_connection_is_lost_without_harm(settings: Settings) -> None:
    app = make_celery(settings)
    app.send_task(DISPATCH)
    connection = app.connection_for_read()
    message = connection.default_channel.basic_get(SWEEP_QUEUE)
    assert message is not None
    connection.close()  # as a worker does that has lost its broker
    connection_pools_are_gone(message.channel)
    with pytest.raises(RedisConnectionError):  # what `ack_log_error` knows; others end the worker
        message.ack()
    app.close()


def test_a_broker_that_comes_back_is_found_within_seconds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    connection = make_celery(away).connection_for_read()

    def note(_error: Exception, wait: float) -> None:
        waits.append(wait)
        if len(waits) == 5:
            raise EnoughError

    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _seconds: None)
    with pytest.raises(EnoughError):
        connection.ensure_connection(note, None)
    assert max(waits) <= 2


def connection_pools_are_gone(channel: Any) -> None:
    """As when Redis did not answer while the connection closed."""
    channel._disconnect_pools()


class EnoughError(Exception):
    """The test has seen enough."""
