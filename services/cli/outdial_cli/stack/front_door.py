"""One address for gateway and pods, so that one tunnel serves both: `outdial up` with real calls.

Requests for `/pods/{pod}/...` go to that pod, everything else to the gateway, byte for byte. A
connection serves one request (the next may be for somebody else), except a WebSocket, which keeps
it. In production a load balancer does this.

Run as `python -m outdial_cli.stack.front_door --port 8000 --gateway 20001 --pod pod-1=20002`.
"""

import argparse
import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress

_LARGEST_HEAD = 64 * 1024
_HEAD_PATIENCE = 30.0
_POD = re.compile(rb"^[A-Z]+ /pods/([^/ ?]+)[/ ?]")
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_UPGRADE = re.compile(rb"\r\nupgrade:\s*websocket", re.IGNORECASE)

_AWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def port_for(head: bytes, gateway: int, pods: Mapping[str, int]) -> int:
    """The local port that a request with this head is for."""
    found = _POD.match(head)
    return pods.get(found.group(1).decode("latin-1"), gateway) if found else gateway


def one_request(head: bytes) -> bytes:
    """The head as it is passed on: the connection closes after the answer, unless it upgrades."""
    if _UPGRADE.search(head):
        return head
    return _CONNECTION.sub(b"", head)[:-4] + b"\r\nConnection: close\r\n\r\n"


class FrontDoor:
    """Serves until cancelled."""

    def __init__(self, port: int, gateway: int, pods: Mapping[str, int]) -> None:
        self._port = port
        self._gateway = gateway
        self._pods = pods

    async def serve(self) -> None:
        """Listen on loopback."""
        server = await asyncio.start_server(
            self._connection, "127.0.0.1", self._port, limit=_LARGEST_HEAD
        )
        async with server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(
            OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError
        ):
            async with asyncio.timeout(_HEAD_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            await self._pass_on(head, reader, writer)
        await _close(writer)

    async def _pass_on(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        port = port_for(head, self._gateway, self._pods)
        try:
            upstream, up = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.write(_AWAY)
            await writer.drain()
            return
        try:
            up.write(one_request(head))
            outward = asyncio.create_task(_copy(reader, up))
            await _copy(upstream, writer)  # the answer's end is the connection's
            outward.cancel()
            with suppress(asyncio.CancelledError):
                await outward
        finally:
            await _close(up)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await reader.read(1 << 16):
            writer.write(block)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="One address for gateway and pods.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gateway", type=int, required=True)
    parser.add_argument("--pod", action="append", default=[], help="pod-1=20002")
    given = parser.parse_args()
    pods = {name: int(port) for name, _, port in (pod.partition("=") for pod in given.pod)}
    with suppress(KeyboardInterrupt):
        asyncio.run(FrontDoor(given.port, given.gateway, pods).serve())


if __name__ == "__main__":
    main()
