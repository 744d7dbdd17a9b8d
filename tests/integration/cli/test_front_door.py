"""One port for gateway and pods: HTTP goes to one, a pod's WebSocket to the other."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from outdial_cli.stack.front_door import FrontDoor
from outdial_cli.stack.ports import free_ports

pytestmark = pytest.mark.integration


async def _gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request with its first line and the length of its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
    body = await reader.readexactly(length)
    text = head.split(b"\r\n")[0] + b" " + str(len(body)).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))
    await writer.drain()
    writer.close()


async def _pod(socket: ServerConnection) -> None:
    assert socket.request is not None
    await socket.send(socket.request.path)
    async for message in socket:
        await socket.send(message)


@pytest.fixture
async def door() -> AsyncIterator[int]:
    port, gateway_port, pod_port, nobody = free_ports(4)
    gateway = await asyncio.start_server(_gateway, "127.0.0.1", gateway_port)
    pods = {"pod-1": pod_port, "pod-2": nobody}
    async with gateway, serve(_pod, "127.0.0.1", pod_port):
        serving = asyncio.create_task(FrontDoor(port, gateway_port, pods).serve())
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.01)
        writer.close()
        yield port
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_requests_go_to_the_gateway_with_their_bodies(door: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{door}", trust_env=False) as client:
        first = await client.post("/twilio/voice/a?pod=pod-1", content=b"x" * 100_000)
        assert first.text == "POST /twilio/voice/a?pod=pod-1 HTTP/1.1 100000"
        assert (await client.get("/health")).text == "GET /health HTTP/1.1 0"


async def test_a_pods_socket_stays_open_both_ways(door: int) -> None:
    async with connect(f"ws://127.0.0.1:{door}/pods/pod-1/ws/t/token") as socket:
        assert await socket.recv() == "/pods/pod-1/ws/t/token"
        for text in ("a", "b" * 100_000):
            await socket.send(text)
            assert await socket.recv() == text


async def test_a_pod_that_is_away_is_502(door: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{door}", trust_env=False) as client:
        assert (await client.get("/pods/pod-2/health")).status_code == 502


async def test_what_is_no_request_is_hung_up_on(door: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door)
    writer.write(b"nonsense")
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
