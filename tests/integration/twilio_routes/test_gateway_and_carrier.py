"""The gateway and the sandbox's carrier over real HTTP: they agree on what Twilio's protocol is."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.server import ServerConnection, serve

from outdial.domain.attempt_state import Plan
from outdial.domain.call_template import Agent, CallTemplate, Transfer
from outdial.operations.create_template import create_template
from outdial.operations.runtime import open_runtime
from outdial.operations.transfer_call import transfer_call
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.routing.slot_reservation import Slot, rebuild, reserve
from outdial.routing.stream_token import verify
from outdial.settings import Settings
from outdial.storage import attempts
from outdial.telephony.callbacks import AnswerHint
from outdial.telephony.dial_result import Accepted
from outdial.telephony.twilio_client import PlaceCall
from outdial.telephony.twilio_signature import is_socket_signed
from outdial_api.app import create_app
from outdial_sandbox.carrier.app import build_carrier
from outdial_sandbox.carrier.config import CarrierConfig, NetworkSettings
from outdial_sandbox.people.people import who_answers
from polling import until
from twilio_world import SLOW_BEATS, FakeCarrier, World, make_world, swap

pytestmark = pytest.mark.integration


@dataclass
class Stream:
    """One media stream as a pod sees it."""

    pod: str
    stream_no: int
    start: dict[str, Any]
    socket: ServerConnection


@dataclass
class Pods:
    """Media sockets of several pods on one port, and the streams that were opened on them."""

    settings: Settings
    url: str = ""
    gateway: Any = None  # the application that sends calls here
    opened: asyncio.Queue[Stream] = field(default_factory=asyncio.Queue)

    async def handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        path = connection.request.path
        token = self.settings.twilio_auth_token.get_secret_value()
        signature = connection.request.headers.get("X-Twilio-Signature")
        assert is_socket_signed(token, self.url, path, signature)
        _, _, pod, _, _, stream_token = path.split("/")
        claims = verify(self.settings.stream_secret, stream_token, 0)
        assert json.loads(await connection.recv())["event"] == "connected"
        start = json.loads(await connection.recv())["start"]
        await self.opened.put(Stream(pod, claims.stream_no, start, connection))
        async for _ in connection:
            pass


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


def listening() -> tuple[socket.socket, str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
async def pods(settings: Settings) -> AsyncIterator[Pods]:
    found = Pods(settings)
    async with serve(found.handle, "127.0.0.1", 0, compression=None) as server:
        found.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield found


@pytest.fixture
async def dialed(settings: Settings, pods: Pods, tmp_path: Path) -> AsyncIterator[World]:
    """Gateway and carrier run, two pods have room, and the attempt's call has been placed."""
    gateway, public_url = listening()
    network, carrier_url = listening()
    settings = settings.model_copy(
        update={"public_url": public_url, "twilio_api_base_url": carrier_url}
    )
    token = settings.twilio_auth_token.get_secret_value()
    config = CarrierConfig(settings.twilio_account_sid, token, tmp_path, carrier_url)
    rules = NetworkSettings(calls_per_second=100, ring_seconds=0.2)
    async with (
        serving(app := create_app(settings), gateway),
        serving(build_carrier(config, rules, who_answers), network),
        open_runtime(settings) as runtime,
    ):
        pods.gateway = app
        world = await make_world(runtime, FakeCarrier())
        await world.change(call_sid=None, state="dialing", phone="+15550100000")
        await rebuild(runtime.redis, [])
        for name in ("pod-1", "pod-2"):
            url = f"{pods.url}/pods/{name}"
            await beat(runtime.redis, Heartbeat(name, "b1", url, 1), SLOW_BEATS)
        slot = await reserve(runtime.redis, world.attempt_id, 60)
        assert isinstance(slot, Slot)
        async with runtime.sessions.begin() as session:
            await attempts.assign_pod(session, world.attempt_id, slot.pod_id, slot.boot_id)
        hint = AnswerHint(slot.pod_id, slot.boot_id, slot.url, world.template_id, world.lead_id)
        call = PlaceCall(
            world.attempt_id, "+12125550100", "+15005550006", hint, 30, 300, record=True
        )
        placed = await runtime.carrier.place(call)
        assert isinstance(placed, Accepted)
        yield world
        await runtime.carrier.end_call(placed.sid)
        await _told(world, "completed")


async def _told(world: World, status: str) -> None:
    """Wait until Twilio has told of this status."""

    async def told() -> bool:
        said = [event.payload for event in await world.events() if event.kind == "status"]
        return status in [payload.get("CallStatus") for payload in said]

    await until(told, 20, f"Twilio has told of {status}")


async def test_a_call_reaches_its_pod_and_ends_as_the_plan_says(dialed: World, pods: Pods) -> None:
    stream = await asyncio.wait_for(pods.opened.get(), 20)
    assert (stream.pod, stream.stream_no) == ("pod-1", 1)
    assert stream.start["customParameters"] == {
        "lead_id": str(dialed.lead_id),
        "attempt_id": str(dialed.attempt_id),
        "stream_no": "1",
    }
    row = await dialed.attempt()
    assert row.call_sid == stream.start["callSid"]  # bound by the first callback
    async with dialed.runtime.sessions.begin() as session:
        await attempts.change_plan(session, dialed.attempt_id, Plan.CONVERSATION, Plan.HANGUP)
    await stream.socket.close()
    await _told(dialed, "completed")
    statuses = [e.payload["CallStatus"] for e in await dialed.events() if e.source == "carrier"]
    assert sorted(statuses) == ["completed", "in-progress", "initiated", "ringing"]
    assert (await dialed.attempt()).stream_no == 1


async def test_a_call_whose_pod_dies_goes_on_at_the_other(dialed: World, pods: Pods) -> None:
    first = await asyncio.wait_for(pods.opened.get(), 20)
    first.socket.transport.abort()  # as a killed process does
    second = await asyncio.wait_for(pods.opened.get(), 5)
    assert (first.pod, second.pod, second.stream_no) == ("pod-1", "pod-2", 2)
    assert second.start["callSid"] == first.start["callSid"]
    row = await dialed.attempt()
    assert (row.pod, row.stream_no, row.plan) == ("pod-2", 2, "conversation")


async def test_a_lost_call_waits_for_postgres_and_then_goes_on(dialed: World, pods: Pods) -> None:
    first = await asyncio.wait_for(pods.opened.get(), 20)
    app, sessions = pods.gateway, pods.gateway.state.runtime.sessions
    nowhere = dialed.runtime.settings.model_copy(
        update={"database_url": "postgresql://x:y@127.0.0.1:9/x"}
    )
    async with open_runtime(nowhere) as away:
        swap(app, sessions=away.sessions)
        first.socket.transport.abort()

        async def is_held() -> bool:
            return any(event.kind == "held" for event in await dialed.events())

        await until(is_held, 20, "the call is on hold")
        assert (await dialed.attempt()).stream_no == 1
    swap(app, sessions=sessions)
    second = await asyncio.wait_for(pods.opened.get(), 20)
    assert (second.pod, second.stream_no) == ("pod-2", 2)
    assert second.start["callSid"] == first.start["callSid"]
    assert (await dialed.attempt()).stream_no == 2


async def test_nobody_there_to_take_over_the_call_comes_back(dialed: World, pods: Pods) -> None:
    first = await asyncio.wait_for(pods.opened.get(), 20)
    busy = CallTemplate("x", Agent("Ada", "Hello.", "Ask."), transfer=Transfer("+12125550102"))
    template = await create_template(dialed.runtime, busy)
    await dialed.change(template_id=template.id)
    assert await transfer_call(dialed.runtime, dialed.attempt_id)
    await first.socket.close()
    second = await asyncio.wait_for(pods.opened.get(), 20)
    assert second.stream_no == 2
    assert second.start["callSid"] == first.start["callSid"]
    row = await dialed.attempt()
    assert (row.plan, row.stream_no) == ("conversation", 2)
    (told,) = [event for event in await dialed.events() if event.source == "transfer"]
    assert (told.payload["DialCallStatus"], told.payload["back_on"]) == ("busy", 2)
