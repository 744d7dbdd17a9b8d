"""A carrier, a customer's web server and bot, on real sockets of one event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from twilio.rest import Client
from websockets.asyncio.server import serve

from carrier_world import ACCOUNT, TOKEN, Bot, Carrier, Customer, Somebody
from outdial_sandbox.carrier.app import build_carrier
from outdial_sandbox.carrier.config import CarrierConfig, NetworkSettings


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        yield  # the socket listens already: a client that is too early waits
    finally:
        server.should_exit = True
        await task


def free_socket() -> tuple[socket.socket, str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
async def customer() -> AsyncIterator[Customer]:
    listener, url = free_socket()
    found = Customer(url)
    routes = [Route("/{rest:path}", found.handle, methods=["GET", "POST"])]
    async with serving(Starlette(routes=routes), listener):
        yield found


@pytest.fixture
async def bot() -> AsyncIterator[Bot]:
    found = Bot()
    async with serve(found.handle, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        found.url = f"ws://127.0.0.1:{port}"
        yield found


@pytest.fixture
async def carrier(tmp_path: Path) -> AsyncIterator[Carrier]:
    listener, url = free_socket()
    people: dict[str, Somebody] = {}
    config = CarrierConfig(ACCOUNT, TOKEN, tmp_path, url)
    settings = NetworkSettings(calls_per_second=100, ring_seconds=0.1)
    app = build_carrier(config, settings, lambda number, _: people.get(number, Somebody()))
    client = Client(ACCOUNT, TOKEN)
    client.api.base_url = url
    async with serving(app, listener):
        yield Carrier(url, tmp_path, client, people, app)
    client.http_client.session.close()
