"""The carrier's HTTP client, against servers that answer byte by byte as they please."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from carrier_world import free_port
from outdial_sandbox.carrier.http_exchange import (
    MAX_BODY,
    HttpAnswer,
    LostAnswerError,
    NotConnectedError,
    http_exchange,
)

pytestmark = pytest.mark.integration

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(handle: Handler) -> AsyncIterator[str]:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(once, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a%20b?c=d"


def saying(*pieces: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return handle


async def ask(url: str, body: bytes = b"", **more: Any) -> HttpAnswer:
    given: dict[str, Any] = {"connect_seconds": 5, "read_seconds": 5, **more}
    return await http_exchange("POST", httpx.URL(url), {"X-One": "1"}, body, **given)


async def test_what_is_sent_is_a_plain_request() -> None:
    sent = asyncio.get_running_loop().create_future()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        sent.set_result(head + await reader.readexactly(3))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async with served(handle) as url:
        assert (await ask(url, b"x=1")).status == 204
        host = url.split("/")[2]
    assert (await sent).decode() == (
        f"POST /a%20b?c=d HTTP/1.1\r\nHost: {host}\r\nX-One: 1\r\nContent-Length: 3\r\n"
        "Connection: close\r\n\r\nx=1"
    )


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-", b"Length: 4\r\n\r\nab", b"cd"], b"abcd"),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", b"0\r\n\r\n"],
            b"ab",
        ),
        ([b"HTTP/1.0 200 OK\r\n\r\n", b"until ", b"the end"], b"until the end"),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n", b"x" * 1_500_000],
            b"x" * MAX_BODY,
        ),
    ],
)
async def test_answers_end_as_they_say(pieces: list[bytes], body: bytes) -> None:
    async with served(saying(*pieces)) as url:
        assert (await ask(url)).body == body


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"HTTP/1.1 200 OK\r\nContent-Le"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"],
        [b"SSH-2.0-OpenSSH_9.2\r\n"],
    ],
)
async def test_half_an_answer_is_none(pieces: list[bytes]) -> None:
    async with served(saying(*pieces)) as url:
        with pytest.raises(LostAnswerError):
            await ask(url)


async def test_nobody_there_and_nobody_answering_differ() -> None:
    with pytest.raises(NotConnectedError):
        await ask(f"http://127.0.0.1:{free_port()}/")
    waiting = asyncio.Event()

    async def handle(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await waiting.wait()

    async with served(handle) as url:
        with pytest.raises(TimeoutError):
            await ask(url, read_seconds=0.2)
        waiting.set()


async def test_a_redirect_is_told() -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
    async with served(saying(moved)) as url:
        assert (await ask(url)).redirects_to == "/there"
