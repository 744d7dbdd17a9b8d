"""Requests to addresses that templates name, against a server that stands on this machine."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from outdial.domain.internet_address import read_allow_list
from outdial.operations.guarded_http import MAX_BYTES, AddressRefused, GuardedHttp

pytestmark = pytest.mark.integration


@dataclass
class _Server:
    """Answers by path, over plain HTTP; keeps the heads of what it was asked."""

    port: int = 0
    heads: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        path = head.split()[1]
        body, more = b'{"ok": true}', ""
        if path == "/large":
            body = b"x" * (MAX_BYTES + 1)
        elif path == "/packed":
            body, more = gzip.compress(b"x" * 9_000_000), "Content-Encoding: gzip\r\n"
        elif path == "/moved":
            more = "Location: http://127.0.0.1:1/\r\n"
        status = "302 Found" if path == "/moved" else "200 OK"
        if path != "/silent":
            length = f"Content-Length: {len(body)}\r\n{more}\r\n"
            writer.write(f"HTTP/1.1 {status}\r\n{length}".encode() + body)
        else:
            await reader.read()  # until the client has gone
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[_Server]:
    made = _Server()
    listening = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


@pytest.fixture
async def closed() -> AsyncIterator[GuardedHttp]:
    """Nothing internal is open."""
    http = GuardedHttp(read_allow_list(""))
    yield http
    await http.close()


@pytest.fixture
async def open_here() -> AsyncIterator[GuardedHttp]:
    """This machine is open."""
    http = GuardedHttp(read_allow_list("127.0.0.1, crm.test"))
    yield http
    await http.close()


async def fetch(http: GuardedHttp, url: str, seconds: float = 10.0, **more: Any) -> Any:
    return await http.fetch(more.pop("method", "GET"), url, headers={}, seconds=seconds, **more)


def resolve(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Names have these addresses, one after the other; returns the names that were looked up."""
    asked: list[str] = []
    left = list(answers)

    def getaddrinfo(host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        address = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_this_machine_is_closed_however_it_is_written(
    closed: GuardedHttp, server: _Server, host: str, scheme: str
) -> None:
    with pytest.raises((AddressRefused, httpx.InvalidURL)):
        await fetch(closed, f"{scheme}://{host}:{server.port}/")
    assert not server.heads


async def test_a_name_that_leads_inside_is_closed(
    closed: GuardedHttp, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, "169.254.169.254")
    with pytest.raises(AddressRefused, match="internal"):
        await fetch(closed, f"https://harmless.test:{server.port}/latest/meta-data")


async def test_what_is_listed_is_open_by_address_and_by_name(
    open_here: GuardedHttp, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await fetch(open_here, f"http://127.0.0.1:{server.port}/a?b=c", method="POST", json={})
    assert (answer.status, answer.body) == (200, b'{"ok": true}')
    resolve(monkeypatch, "127.0.0.1")
    await fetch(open_here, f"http://crm.test:{server.port}/")
    assert server.heads[0].startswith("POST /a?b=c HTTP/1.1")
    assert f"Host: crm.test:{server.port}" in server.heads[1], "the name is asked for, not the IP"


async def test_a_name_that_changes_its_mind_is_looked_at_once(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second look-up would lead inside, and is never made."""
    asked = resolve(monkeypatch, "203.0.113.7", "127.0.0.1")
    http = GuardedHttp(read_allow_list("203.0.113.0/24"))  # stands for the internet
    with pytest.raises((httpx.ConnectError, TimeoutError)):
        await fetch(http, f"https://rebinds.test:{server.port}/", seconds=0.5)
    assert asked == ["rebinds.test"]
    assert not server.heads
    await http.close()


async def test_only_https_leaves_for_the_internet(
    closed: GuardedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, "8.8.8.8")
    with pytest.raises(AddressRefused, match="https"):
        await fetch(closed, "http://shop.test/")


async def test_a_redirect_is_an_answer_and_is_not_followed(
    open_here: GuardedHttp, server: _Server
) -> None:
    assert (await fetch(open_here, f"http://127.0.0.1:{server.port}/moved")).status == 302
    assert len(server.heads) == 1


@pytest.mark.parametrize("path", ["large", "packed"])
async def test_an_answer_that_is_too_much_is_not_read(
    open_here: GuardedHttp, server: _Server, path: str
) -> None:
    with pytest.raises(httpx.DecodingError):
        await fetch(open_here, f"http://127.0.0.1:{server.port}/{path}")


async def test_a_server_that_says_nothing_is_given_up(
    open_here: GuardedHttp, server: _Server
) -> None:
    with pytest.raises(TimeoutError):
        await fetch(open_here, f"http://127.0.0.1:{server.port}/silent", seconds=0.2)
