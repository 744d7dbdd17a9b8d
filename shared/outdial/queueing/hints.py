"""Hints: messages that make work start sooner. What is lost is found again by a sweep.

A request must never wait for the broker (a Redis that hangs holds a publisher for seconds), so
hints go into a bounded queue that one thread empties. When it is full they are dropped. A message
costs its publisher, the worker and its child about as much as settling an attempt does, so attempts
to settle gather for a moment and go together.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from uuid import UUID

from celery import Celery

from outdial.observability.metrics import HINTS_DROPPED
from outdial.observability.outages import Outages
from outdial.queueing.celery_app import make_celery
from outdial.queueing.task_names import DISPATCH, PLACE_ATTEMPTS, SETTLE_ATTEMPTS
from outdial.settings import Settings

MOST_WAITING = 10_000
CLOSING_SECONDS = 3.0
GATHER_SECONDS = 0.1
MOST_SETTLED_TOGETHER = 10  # a burst is shared out among workers

_Message = tuple[str, tuple[str, ...]]


class Hints:
    """Publishes from a thread of its own, which is started by the first hint."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: SimpleQueue[_Message | None] = SimpleQueue()
        self._waiting_set: set[_Message] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()  # takes no more hints
        self._given_up = False  # publishes no more either

    def dispatch(self) -> None:
        """Leads may be due."""
        self._put((DISPATCH, ()))

    def place(self, attempt_ids: Sequence[UUID]) -> None:
        """These attempts are queued."""
        self._put((PLACE_ATTEMPTS, tuple(str(attempt_id) for attempt_id in attempt_ids)))

    def settle(self, attempt_id: UUID) -> None:
        """An attempt has events that nobody has read."""
        self._put((SETTLE_ATTEMPTS, (str(attempt_id),)))

    @property
    def waiting(self) -> int:
        """How many hints the publishing thread has not yet taken."""
        return len(self._waiting_set)

    def close(self) -> None:
        """Publish what waits, for some seconds at most."""
        with self._lock:
            self._closed.set()
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join(CLOSING_SECONDS)
            self._given_up = True

    def _put(self, message: _Message) -> None:
        """Never blocks. A message that waits already says the same."""
        with self._lock:
            if self._closed.is_set() or message in self._waiting_set:
                return
            if len(self._waiting_set) >= MOST_WAITING:
                HINTS_DROPPED.labels(message[0]).inc()
                return
            self._waiting_set.add(message)
            self._waiting.put(message)
            if self._thread is None:
                self._thread = threading.Thread(target=self._publish_all, name="hints", daemon=True)
                self._thread.start()

    def _publish_all(self) -> None:
        celery, outages = make_celery(self._settings), Outages()
        try:
            while (first := self._waiting.get()) is not None:
                for message in together(self._gathered(first)):
                    if not self._given_up:
                        _publish(celery, message, outages)
        finally:
            celery.close()

    def _gathered(self, first: _Message) -> list[_Message]:
        """All that waits; a moment later, if an attempt is to be settled and more may come."""
        if first[0] == SETTLE_ATTEMPTS:
            self._closed.wait(GATHER_SECONDS)
        messages = [first, *self._rest()]
        with self._lock:
            self._waiting_set.difference_update(messages)
        return messages

    def _rest(self) -> Iterator[_Message]:
        with suppress(Empty):
            while (message := self._waiting.get_nowait()) is not None:
                yield message
            self._waiting.put(None)  # for who waits for the next one: it is the last


def together(messages: Sequence[_Message]) -> list[_Message]:
    """The same, with the attempts that are to be settled in as few messages as may be."""
    to_settle = [ids[0] for name, ids in messages if name == SETTLE_ATTEMPTS]
    size = MOST_SETTLED_TOGETHER
    return [message for message in messages if message[0] != SETTLE_ATTEMPTS] + [
        (SETTLE_ATTEMPTS, tuple(to_settle[start : start + size]))
        for start in range(0, len(to_settle), size)
    ]


def _publish(celery: Celery, message: _Message, outages: Outages) -> None:
    name, ids = message
    try:
        celery.send_task(name, args=[list(ids)] if ids else [])
    except Exception as error:  # noqa: BLE001 - the thread must outlive whatever a broker does
        HINTS_DROPPED.labels(name).inc()
        outages.away("broker", f"{type(error).__name__}: {error}")
    else:
        outages.back("broker")
