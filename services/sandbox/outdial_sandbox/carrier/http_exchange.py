"""One HTTP request on one connection, at a tenth of what a general client costs.

A run of ten thousand calls makes a hundred thousand requests, on the machine that runs everything
else. There is no pool: a kept connection that the server has closed would look like a lost answer.
"""

import asyncio
import functools
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httptools
import httpx

MAX_BODY = 1 << 20  # what is longer is cut

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class NotConnectedError(Exception):
    """Nobody took the connection."""


class LostAnswerError(Exception):
    """The connection ended before the answer did, or what came was no HTTP."""


@dataclass(frozen=True)
class HttpAnswer:
    """An answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def redirects_to(self) -> str | None:
        """The address that it sends us to."""
        return self.headers.get("location") if self.status in _REDIRECTS else None


async def http_exchange(
    method: str,
    url: httpx.URL,
    headers: Mapping[str, str],
    body: bytes,
    *,
    connect_seconds: float,
    read_seconds: float,
) -> HttpAnswer:
    """Ask once. Raises NotConnectedError, LostAnswerError, or TimeoutError."""
    exchange = await _connected(url, connect_seconds)
    try:
        exchange.transport.write(_head(method, url, headers, body) + body)
        async with asyncio.timeout(read_seconds):
            return await exchange.answer
    finally:
        exchange.transport.abort()


async def _connected(url: httpx.URL, seconds: float) -> "_Exchange":
    secure = url.scheme == "https"
    host, port = url.raw_host.decode("ascii"), url.port or (443 if secure else 80)
    tls = _tls() if secure else None
    try:
        async with asyncio.timeout(seconds):
            loop = asyncio.get_running_loop()
            _, exchange = await loop.create_connection(_Exchange, host, port, ssl=tls)
    except TimeoutError:
        raise NotConnectedError(f"no connection within {seconds:g} s") from None
    except OSError as error:
        raise NotConnectedError(str(error) or type(error).__name__) from None
    return exchange


@functools.cache
def _tls() -> ssl.SSLContext:
    """Trusts what the system trusts, or SSL_CERT_FILE."""
    return ssl.create_default_context()


def _head(method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (method.encode(), url.raw_path), b"Host: " + url.netloc]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers.items()]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


class _Exchange(asyncio.Protocol):
    """Collects one answer. The `on_...` methods are called by the parser."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.answer: asyncio.Future[HttpAnswer] = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._has_head = False

    def connection_made(self, transport: Any) -> None:
        """The request can be sent."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Some of the answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        """The end of an answer without a length, or the end of hope."""
        framed = "content-length" in self._headers or "transfer-encoding" in self._headers
        if self._has_head and not framed and error is None:
            self._done()
        else:
            self._fail(str(error or "the connection was closed before the answer's end"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The body follows."""
        self._has_head = True

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._body += data
        if len(self._body) > MAX_BODY:
            self._done()

    def on_message_complete(self) -> None:
        """All of it has come."""
        self._done()

    def _done(self) -> None:
        if not self.answer.done():
            status = self._parser.get_status_code()
            body = bytes(self._body[:MAX_BODY])
            self.answer.set_result(HttpAnswer(status, self._headers, body))

    def _fail(self, reason: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(LostAnswerError(reason))
