"""Debian's nginx with our configuration, a name server, and processes that say who was asked."""

import asyncio
import json
import re
import shutil
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request

from polling import until

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPOSE, KUBERNETES = DEPLOY / "nginx/compose.env", DEPLOY / "kubernetes/base/edge.env"
PUBLIC = "127.0.0.1"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Names(asyncio.DatagramProtocol):
    """A name server that knows a few names; everything else does not exist."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        name, question = ".".join(labels), data[12 : at + 5]
        self.asked.append(name)
        address = self._names.get(name)
        flags = 0x8180 if address else 0x8183
        head = struct.pack(">2sHHHHH", data[:2], flags, 1, 1 if address else 0, 0, 0)
        answer = b""
        if address:
            octets = bytes(map(int, address.split(".")))
            answer = struct.pack(">HHHIH4s", 0xC00C, 1, 1, 1, 4, octets)
        self._transport.sendto(head + question + answer, addr)  # type: ignore[attr-defined]


@dataclass
class Host:
    """A process behind the edge: what it was asked, and with which headers."""

    name: str
    paths: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def note(self, request: Request) -> None:
        self.paths.append(request.path)
        self.headers.append(dict(request.headers.raw_items()))


@dataclass
class Edge:
    """The edge with what is behind it. `raw` speaks HTTP as it is written."""

    port: int
    hosts: dict[str, Host]
    names: Names
    closing: dict[str, AsyncExitStack]

    async def stop(self, host: str) -> None:
        """Kill a process behind the edge."""
        await self.closing[host].aclose()

    async def raw(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Status and body, for a request line that no client would tidy up."""
        reader, writer = await asyncio.open_connection(PUBLIC, self.port)
        given = {"Host": "public.example", "Connection": "close", "Content-Length": "0", **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items()]
        writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode())
        async with asyncio.timeout(15):
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length.group(1))) if length else b""
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return int(head.split(b" ")[1]), body.decode()

    @property
    def asked(self) -> dict[str, list[str]]:
        """Who was reached, by which paths."""
        return {name: host.paths for name, host in self.hosts.items() if host.paths}


UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec_WebSocket_Version": "13",
}


@asynccontextmanager
async def running_edge(
    folder: Path, env_file: Path, hosts: Mapping[str, str]
) -> AsyncIterator[Edge]:
    """The edge with one of our sets of values; `hosts`: name → loopback address of a process.

    All processes listen on one port, as containers do, at addresses of their own.
    """
    async with AsyncExitStack() as stack:
        behind, closing, port = {}, {}, 0
        for name, address in hosts.items():
            behind[name], closing[name] = Host(name), AsyncExitStack()
            stack.push_async_callback(closing[name].aclose)
            server = await closing[name].enter_async_context(_process(behind[name], address, port))
            port = port or server.sockets[0].getsockname()[1]
        transport, names = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Names(hosts), local_addr=(PUBLIC, 0)
        )
        stack.callback(transport.close)
        dns_port = transport.get_extra_info("sockname")[1]
        values = _values(env_file) | {"OUTDIAL_RESOLVER": f"{PUBLIC}:{dns_port}"}
        values |= {"OUTDIAL_POD_PORT": str(port)}
        values["OUTDIAL_GATEWAY"] = f"{values['OUTDIAL_GATEWAY'].rpartition(':')[0]}:{port}"
        public = await _free_port()
        values |= {"OUTDIAL_LISTEN": f"{PUBLIC}:{public}"}
        values |= {"OUTDIAL_ACCESS_LOG": str(folder / "access.log")}
        await stack.enter_async_context(_nginx(folder, values, public))
        yield Edge(public, behind, names, closing)


@asynccontextmanager
async def _process(host: Host, address: str, port: int) -> AsyncIterator[object]:
    """Says its own name to whoever asks: over a socket, or in an answer to a POST."""

    async def talk(connection: ServerConnection) -> None:
        await connection.send(json.dumps({"host": host.name}))
        async for message in connection:
            await connection.send(message)

    def answer(connection: ServerConnection, request: Request) -> object:
        host.note(request)
        if request.headers.get("Upgrade") is None:
            return connection.respond(200, f"this is {host.name}")
        return None

    async with serve(talk, address, port, process_request=answer, compression=None) as server:  # type: ignore[arg-type]
        yield server


def _values(env_file: Path) -> dict[str, str]:
    lines = env_file.read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


@asynccontextmanager
async def _nginx(folder: Path, values: Mapping[str, str], port: int) -> AsyncIterator[None]:
    """As envsubst would: only our names are replaced."""
    template = Template((DEPLOY / "nginx/outdial.conf.template").read_text())
    (folder / "outdial.conf").write_text(template.safe_substitute(values))
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log info;\n"
        f"events {{}}\nhttp {{ {temporary} include {folder}/outdial.conf; }}\n"
    )
    found = shutil.which("nginx")
    assert found is not None
    process = await asyncio.create_subprocess_exec(
        found, "-p", str(folder), "-c", str(folder / "nginx.conf"), stderr=asyncio.subprocess.PIPE
    )
    try:

        async def listens() -> bool:
            assert process.returncode is None, (folder / "error.log").read_text()
            return await _listens(port)

        await until(listens, 10, "nginx listens")
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(PUBLIC, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def _free_port() -> int:
    server = await asyncio.start_server(lambda _r, _w: None, PUBLIC, 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port
