"""Requests that leave at their moment: with all ready, and the connection open, they ask when.

Building a request, opening a connection and shaking hands take unevenly long. Done after a call
was counted for the pace, they would have calls reach the carrier closer together than counted. A
thread wakes late now and then, too: it says so, and the calls after it keep their distance.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from urllib3.connection import HTTPConnection, HTTPSConnection

# Who wakes later than this has missed its moment, and asks for another one.
MISSED_SECONDS = 0.05
# Who has sent later than this says by how much.
ON_TIME_SECONDS = 0.005


class Departure(Protocol):
    """When a request leaves, for the thread that sends it."""

    def when(self) -> float | None:
        """The moment (monotonic seconds), or None: not at all. Asked again if it was missed."""

    def left_late(self, seconds: float) -> None:
        """It left so long after the moment that was given. Does not wait, and does not fail."""


_departure: ContextVar[Departure | None] = ContextVar("departure", default=None)


class NotDeparted(Exception):
    """The request was not to leave: no byte of it did."""


@contextmanager
def departing(departure: Departure | None) -> Iterator[None]:
    """The next request of this thread leaves when `departure` says so; None: at once."""
    token = _departure.set(departure)
    try:
        yield
    finally:
        _departure.reset(token)


class DepartingConnection(HTTPConnection):
    """Asks when all of a request is there and its connection open, and sends it in one piece.

    Headers and body are two writes upstream, and on full cores a thread may wait between them: the
    carrier then has all of the call later than it was to have it, and nearer to the next one.
    """

    _held: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        """As ever, in one piece, if it departs."""
        departure = _departure.get()
        if departure is None:
            super().request(*args, **kwargs)
            return
        if self.sock is None:
            self.connect()  # what is said for the connection's sake (to a proxy) is no request
        self._held = []
        try:
            super().request(*args, **kwargs)
            whole = b"".join(self._held)
        finally:
            self._held = None
        moment = _wait_to_depart(departure)
        self.send(whole)
        late = time.monotonic() - moment
        if late > ON_TIME_SECONDS:
            departure.left_late(late)

    def send(self, data: Any) -> None:
        """Bytes of a request."""
        if self._held is None:
            super().send(data)
        else:
            self._held.append(bytes(data))


class SecureDepartingConnection(DepartingConnection, HTTPSConnection):
    """The same over TLS."""


def _wait_to_depart(departure: Departure) -> float:
    """Sleep until its moment, which is returned (monotonic seconds)."""
    while (moment := departure.when()) is not None:
        time.sleep(max(0.0, moment - time.monotonic()))
        if time.monotonic() - moment <= MISSED_SECONDS:
            return moment
    raise NotDeparted
