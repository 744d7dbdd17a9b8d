"""Hints reach the broker without anybody waiting for it."""

import asyncio
import json
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from outdial.operations.runtime import Runtime
from outdial.queueing import hints as hints_module
from outdial.queueing.hints import MOST_SETTLED_TOGETHER, Hints
from outdial.queueing.task_names import DISPATCH, PLACE_ATTEMPTS, SETTLE_ATTEMPTS
from outdial.settings import Settings
from polling import until

pytestmark = pytest.mark.integration


@pytest.fixture
def hints(settings: Settings) -> Iterator[Hints]:
    opened = Hints(settings)
    yield opened
    opened.close()


async def messages(runtime: Runtime, queue: str, count: int) -> list[tuple[str, Any]]:
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
    assert await messages(runtime, "settle", 1) == [(SETTLE_ATTEMPTS, [[str(attempt)]])]
    assert await messages(runtime, "sweep", 1) == [(DISPATCH, [])]


async def test_attempts_to_settle_go_together(
    runtime: Runtime, hints: Hints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints_module, "GATHER_SECONDS", 60)  # until the end
    attempts = [uuid4() for _ in range(MOST_SETTLED_TOGETHER + 3)]
    for attempt in [*attempts, attempts[0]]:
        hints.settle(attempt)
    hints.place([attempts[1]])
    await asyncio.to_thread(hints.close)
    told = await messages(runtime, "settle", 2)
    assert {name for name, _ in told} == {SETTLE_ATTEMPTS}
    parts = [ids for _, (ids,) in told]
    assert sorted(map(len, parts)) == [3, MOST_SETTLED_TOGETHER]
    assert sorted(one for part in parts for one in part) == sorted(map(str, attempts))
    assert await messages(runtime, "dial", 1) == [(PLACE_ATTEMPTS, [[str(attempts[1])]])]


async def test_what_is_told_while_others_are_published_goes_as_well(
    runtime: Runtime, hints: Hints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints_module, "GATHER_SECONDS", 0)
    attempt, publishing, go_on = uuid4(), threading.Event(), threading.Event()
    send = Celery.send_task

    def wait_first(*args: Any, **kwargs: Any) -> Any:
        publishing.set()
        go_on.wait(10)
        return send(*args, **kwargs)

    monkeypatch.setattr(Celery, "send_task", wait_first)
    hints.settle(attempt)
    assert await asyncio.to_thread(publishing.wait, 10)
    hints.settle(attempt)  # of something that was written since: who reads now may not see it
    go_on.set()
    assert await messages(runtime, "settle", 2) == [(SETTLE_ATTEMPTS, [[str(attempt)]])] * 2


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
