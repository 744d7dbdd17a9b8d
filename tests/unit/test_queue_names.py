"""The queues that Flower shows, which beat publishes to as if nobody had named them."""

import pytest

from outdial.queueing.celery_app import make_celery, name_queues
from outdial.queueing.task_names import QUEUE_OF
from outdial.settings import Settings

pytestmark = pytest.mark.unit

SETTINGS = Settings(_env_file=None, redis_url="redis://127.0.0.1:1/0")


def test_flower_shows_our_queues_and_no_other() -> None:
    app = make_celery(SETTINGS)
    name_queues(app)
    shown = {app.conf.task_default_queue} | {queue.name for queue in app.conf.task_queues}
    assert shown == set(QUEUE_OF.values())


@pytest.mark.parametrize("task", sorted(QUEUE_OF))
def test_a_task_goes_where_it_went(task: str) -> None:
    plain, named = make_celery(SETTINGS), make_celery(SETTINGS)
    name_queues(named)
    before = plain.amqp.router.route({}, task)["queue"]
    after = named.amqp.router.route({}, task)["queue"]
    assert after.as_dict(recurse=True) == before.as_dict(recurse=True)
