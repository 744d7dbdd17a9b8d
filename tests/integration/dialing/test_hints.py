"""Hints reach the broker without anybody waiting for it."""

import asyncio
import json
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from uuid import uuid4

import pytest
from celery import Celery

from outdial.operations.runtime import Runtime
from outdial.queueing import hints as hints_module
from outdial.queueing.hints import Hints
from outdial.queueing.task_names import DISPATCH, PLACE_ATTEMPTS, SETTLE_ATTEMPT
from outdial.settings import Settings
from polling import until

pytestmark = pytest.mark.integration


@pytest.fixture
def hints(settings: Settings) -> Iterator[Hints]:
    opened = Hints(settings)
    yield opened
    opened.close()


async def messages(runtime: Runtime, queue: str, count: int) -> list[tuple[str, object]]:
    """Wait until a queue holds so many messages; their tasks and arguments."""

    async def enough() -> bool:
        return bool(await runtime.redis.llen(queue) >= count)

    await until(enough, 10, f"{count} messages in {queue}")
    raw = [json.loads(text) for text in await runtime.redis.lrange(queue, 0, -1)]
    return [
        (message["headers"]["task"], json.loads(b64decode(message["body"]))[0]) for message in raw
    ]


async def test_each_hint_goes_to_its_queue(runtime: Runtime, hints: Hints) -> None:
    attempt, other = uuid4(), uuid4()
    hints.place([attempt, other])
    hints.settle(attempt)
    hints.dispatch()
    assert await messages(runtime, "dial", 1) == [(PLACE_ATTEMPTS, [[str(attempt), str(other)]])]
    assert await messages(runtime, "settle", 1) == [(SETTLE_ATTEMPT, [str(attempt)])]
    assert await messages(runtime, "sweep", 1) == [(DISPATCH, [])]


async def test_what_cannot_be_published_does_not_stop_the_rest(
    runtime: Runtime, hints: Hints, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def fail(*_: object, **__: object) -> None:
        tried.set()
        raise RuntimeError("anything")

    with monkeypatch.context() as broken:
        broken.setattr(Celery, "send_task", fail)
        hints.dispatch()
        assert await asyncio.to_thread(tried.wait, 10)
    hints.settle(uuid4())
    await messages(runtime, "settle", 1)


async def test_a_hint_after_flushall_arrives(runtime: Runtime, hints: Hints) -> None:
    hints.dispatch()
    await messages(runtime, "sweep", 1)
    await runtime.redis.flushall()
    hints.settle(uuid4())
    await messages(runtime, "settle", 1)


def test_a_broker_that_is_away_costs_nobody_time(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    hints = Hints(away)
    began = time.monotonic()
    for _ in range(1000):
        hints.settle(uuid4())
    assert time.monotonic() - began < 1
    hints.close()


def test_a_full_queue_drops(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints_module, "MOST_WAITING", 5)
    monkeypatch.setattr(hints_module, "CLOSING_SECONDS", 0.1)
    hints = Hints(settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"}))
    for _ in range(50):
        hints.settle(uuid4())
    assert hints.waiting <= 5
    hints.close()
