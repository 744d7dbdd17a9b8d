"""WebSocket and HTTP/1.1 over bare asyncio, no more of them than the benchmarks need.

Callers and providers share one core while the pod under test has the other: what a library does for
the general case there would be the limit that is measured. No compression, no fragments.
"""

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import parse_qs, urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NO_MASK = bytes(4)  # a mask of zeros is a mask: nothing is to be computed


def frame(opcode: int, payload: bytes, *, masked: bool) -> bytes:
    """One whole WebSocket frame."""
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, bit | 127)) + size.to_bytes(8, "big")
    return head + (_NO_MASK if masked else b"") + payload


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    if mask == _NO_MASK:
        return payload
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


@dataclass(frozen=True)
class Request:
    """A request as it was read."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Wire(asyncio.Protocol):
    """Either end of a connection. Override `on_request`, `on_message`, `on_close`."""

    def __init__(self, *, client: bool = False) -> None:
        self._client = client
        self._buffer = bytearray()
        self._websocket = False
        self.transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """A client's: the status that its handshake was answered with."""
        self.on_pong: Callable[[bytes], None] = lambda _: None

    def on_request(self, request: Request) -> None:
        """A server's: answer with `reply` or `upgrade`."""

    def on_message(self, opcode: int, payload: bytes) -> None:
        """A WebSocket message came."""

    def on_close(self) -> None:
        """The connection is gone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if not self.opened.done():
            self.opened.set_result(0)
        self.on_close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._websocket and not self._read_http():
            return
        self._read_frames()

    def send(self, opcode: int, payload: bytes | str) -> None:
        """Send a WebSocket message; into the void when the connection is gone."""
        if self.transport is not None:
            raw = payload.encode() if isinstance(payload, str) else payload
            self.transport.write(frame(opcode, raw, masked=self._client))

    def write(self, raw: bytes) -> None:
        """Send bytes as they are."""
        if self.transport is not None:
            self.transport.write(raw)

    def reply(self, body: bytes, kind: str = "application/json", status: int = 200) -> None:
        """Answer a request."""
        head = f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.write(head.encode() + body)

    def upgrade(self, request: Request) -> None:
        """Answer a request by becoming a WebSocket."""
        key = request.headers["sec-websocket-key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
        self._websocket = True
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )

    def close(self) -> None:
        """Say goodbye and hang up."""
        if self.transport is not None:
            if self._websocket:
                self.send(CLOSE, b"\x03\xe8")
            self.transport.close()

    def _read_http(self) -> bool:
        """Read a head (and body); whether frames may follow."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (x.partition(":") for x in lines)}
        if self._client:
            del self._buffer[: end + 4]
            status = int(first.split(" ")[1])
            self._websocket = status == 101
            self.opened.set_result(status)
            return self._websocket
        size = int(headers.get("content-length", 0))
        if len(self._buffer) < end + 4 + size:
            return False
        body = bytes(self._buffer[end + 4 : end + 4 + size])
        del self._buffer[: end + 4 + size]
        method, target, _ = first.split(" ", 2)
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.on_request(Request(method, parts.path, query, headers, body))
        return self._websocket

    def _read_frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size, head = buffer[at + 1] & 0x7F, at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                if len(buffer) - head < width:
                    break
                size, head = int.from_bytes(buffer[head : head + width], "big"), head + width
            mask = bytes(buffer[head : head + 4]) if buffer[at + 1] & 0x80 else _NO_MASK
            head += 4 if buffer[at + 1] & 0x80 else 0
            if len(buffer) - head < size:
                break
            opcode, payload = buffer[at] & 0x0F, bytes(buffer[head : head + size])
            at = head + size
            self._take(opcode, _unmasked(payload, mask))
        del buffer[:at]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode in {TEXT, BINARY}:
            self.on_message(opcode, payload)
        elif opcode == PING:
            self.send(PONG, payload)
        elif opcode == PONG:
            self.on_pong(payload)
        elif opcode == CLOSE:
            self.close()

    async def open(self, url: str) -> Self:
        """Connect a client; raises ConnectionError when it is refused."""
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, parts.hostname, parts.port)
        key = base64.b64encode(os.urandom(16)).decode()
        self.write(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        async with asyncio.timeout(20):
            status = await self.opened
        if status != 101:
            raise ConnectionError(f"the socket was refused: {status}")
        return self
