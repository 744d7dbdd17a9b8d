"""Requests that leave at their moment: with all ready, and the connection open, they ask when.

Building a request, opening a connection and shaking hands take unevenly long. Done after a call
was counted for the pace, they would have calls reach the carrier closer together than counted.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

# Who wakes later than this has missed its moment, and asks for another one.
MISSED_SECONDS = 0.015

AskWhen = Callable[[], float | None]
"""The moment to send at (monotonic seconds), or None: not at all. Asked again if it was missed."""

_ask_when: ContextVar[AskWhen | None] = ContextVar("ask_when", default=None)


class NotDeparted(Exception):
    """The request was not to leave: no byte of it did."""


@contextmanager
def departing(ask_when: AskWhen | None) -> Iterator[None]:
    """The next request of this thread leaves when `ask_when` says so; None: at once."""
    token = _ask_when.set(ask_when)
    try:
        yield
    finally:
        _ask_when.reset(token)


class DepartingConnection(HTTPConnection):
    """Asks when all of a request is there and its connection open, and sends it in one piece.

    Headers and body are two writes upstream, and on full cores a thread may wait between them: the
    carrier then has all of the call later than it was to have it, and nearer to the next one.
    """

    _held: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        """As ever, in one piece, if it departs."""
        ask_when = _ask_when.get()
        if ask_when is None:
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
        _wait_to_depart(ask_when)
        self.send(whole)

    def send(self, data: Any) -> None:
        """Bytes of a request."""
        if self._held is None:
            super().send(data)
        else:
            self._held.append(bytes(data))


class SecureDepartingConnection(DepartingConnection, HTTPSConnection):
    """The same over TLS."""


def _wait_to_depart(ask_when: AskWhen) -> None:
    while (moment := ask_when()) is not None:
        time.sleep(max(0.0, moment - time.monotonic()))
        if time.monotonic() - moment <= MISSED_SECONDS:
            return
    raise NotDeparted
