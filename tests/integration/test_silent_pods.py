"""Calls on a pod that froze are moved by REST; those on one that is only not heard are not."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest

from outdial.domain.call_template import Agent, CallTemplate
from outdial.operations.create_template import create_template
from outdial.operations.move_calls_of_silent_pods import move_calls_of_silent_pods
from outdial.operations.runtime import Runtime
from outdial.routing import keys
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.routing.slot_reservation import Slot, holder, rebuild, reserve
from outdial.routing.stream_token import verify
from outdial.storage import attempts
from outdial.storage.ids import new_id
from outdial.storage.tables import Attempt
from outdial.telephony.dial_result import NotUpdated, Updated, UpdateResult

pytestmark = pytest.mark.integration

SID = "CA" + "7" * 32
NOBODY_LISTENS = "http://127.0.0.1:9/health"


@dataclass
class Carrier:
    updates: list[tuple[str, str]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    answer: UpdateResult = field(default_factory=Updated)

    async def end_call(self, sid: str) -> UpdateResult:
        self.ended.append(sid)
        return self.answer

    async def update_twiml(self, sid: str, twiml: str) -> UpdateResult:
        self.updates.append((sid, twiml))
        return self.answer


@dataclass
class World:
    runtime: Runtime
    carrier: Carrier
    attempt_id: UUID

    async def beat(self, pod: str, health: str = NOBODY_LISTENS, boot: str = "b1") -> None:
        heartbeat = Heartbeat(pod, boot, f"wss://x/pods/{pod}", 2, health_url=health)
        await beat(self.runtime.redis, heartbeat, self.runtime.settings)

    async def silence(self, pod: str) -> None:
        """Let a pod have been silent for just too long."""
        await self.runtime.redis.zincrby(keys.SEEN, -4000, pod)

    async def attempt(self) -> Attempt:
        async with self.runtime.sessions() as session:
            found = await attempts.get(session, self.attempt_id)
        assert found is not None
        return found


@pytest.fixture
async def world(runtime: Runtime) -> World:
    """A call that goes on at pod-1."""
    carrier = Carrier()
    runtime = replace(runtime, carrier=carrier)  # type: ignore[arg-type]
    template = await create_template(runtime, CallTemplate("x", Agent("Ada", "Hello.", "Ask.")))
    attempt_id = new_id()
    async with runtime.sessions.begin() as session:
        session.add(
            Attempt(
                id=attempt_id,
                direction="inbound",
                template_id=template.id,
                phone="+15550000001",
                caller_number="+15005550006",
                state="in_progress",
                intent_at=datetime.now(UTC),
                call_sid=SID,
                pod="pod-1",
                boot_id="b1",
            )
        )
    world = World(runtime, carrier, attempt_id)
    await rebuild(runtime.redis, [])
    await world.beat("pod-1")
    assert isinstance(await reserve(runtime.redis, attempt_id, 60), Slot)
    return world


async def test_a_call_on_a_frozen_pod_goes_on_at_another(world: World) -> None:
    await world.beat("pod-2")
    await world.silence("pod-1")
    assert await move_calls_of_silent_pods(world.runtime) == 1
    ((sid, twiml),) = world.carrier.updates
    assert sid == SID
    url = ET.fromstring(twiml).find(".//Stream").attrib["url"]  # type: ignore[union-attr]
    secret = world.runtime.settings.stream_secret
    claims = verify(secret, url.rsplit("/", 1)[1], time.time())
    assert ("/pods/pod-2/" in url, claims.stream_no, claims.boot_id) == (True, 2, "b1")
    row = await world.attempt()
    assert (row.stream_no, row.pod, row.plan) == (2, "pod-2", "conversation")
    assert (await holder(world.runtime.redis, row.id)).pod_id == "pod-2"  # type: ignore[union-attr]
    assert await move_calls_of_silent_pods(world.runtime) == 0


async def test_one_that_answers_when_asked_keeps_its_calls(world: World) -> None:
    async with _answering() as url:
        await world.beat("pod-1", url)
        await world.beat("pod-2")
        await world.silence("pod-1")
        assert await move_calls_of_silent_pods(world.runtime) == 0
    assert world.carrier.updates == []


async def test_one_that_takes_the_question_and_says_nothing_is_frozen(world: World) -> None:
    async with _answering(says=False) as url:
        await world.beat("pod-1", url)
        await world.beat("pod-2")
        await world.silence("pod-1")
        began = time.monotonic()
        assert await move_calls_of_silent_pods(world.runtime) == 1
        assert time.monotonic() - began < 3


async def test_when_every_pod_is_silent_it_is_redis_that_was_away(world: World) -> None:
    await world.beat("pod-2")
    await world.silence("pod-1")
    await world.silence("pod-2")
    assert await move_calls_of_silent_pods(world.runtime) == 0
    assert (await world.attempt()).stream_no == 1


async def test_a_pod_that_was_started_anew_has_closed_its_sockets_itself(world: World) -> None:
    await world.beat("pod-2")
    await world.beat("pod-1", boot="b2")
    await world.silence("pod-1")
    assert await move_calls_of_silent_pods(world.runtime) == 0


async def test_without_room_elsewhere_the_call_stays(world: World) -> None:
    await world.beat("pod-2")
    for _ in range(2):
        await reserve(world.runtime.redis, new_id(), 60, avoid=("pod-1", "b1"))
    await world.silence("pod-1")
    assert await move_calls_of_silent_pods(world.runtime) == 0
    assert (await world.attempt()).stream_no == 1


async def test_what_the_carrier_did_not_hear_is_tried_again(world: World) -> None:
    await world.beat("pod-2")
    await world.silence("pod-1")
    world.carrier.answer = NotUpdated("away")
    assert await move_calls_of_silent_pods(world.runtime) == 0
    assert (await world.attempt()).pod == "pod-1"
    world.carrier.answer = Updated()
    assert await move_calls_of_silent_pods(world.runtime) == 1
    row = await world.attempt()
    assert (row.stream_no, row.pod) == (3, "pod-2")


async def test_one_that_was_answered_elsewhere_while_the_pod_was_asked_is_left_alone(
    world: World,
) -> None:
    async def answered_by_pod_2() -> None:  # a call that was on hold since its pod died
        async with world.runtime.sessions.begin() as session:
            await attempts.assign_pod(session, world.attempt_id, "pod-2", "b1")

    async with _answering(says=False, when_asked=answered_by_pod_2) as url:
        await world.beat("pod-1", url)
        await world.beat("pod-2")
        await world.silence("pod-1")
        assert await move_calls_of_silent_pods(world.runtime) == 0
    assert world.carrier.updates == []
    row = await world.attempt()
    assert (row.stream_no, row.pod) == (1, "pod-2")


async def test_one_that_is_put_on_hold_while_the_pod_is_asked_is_its_redirects(
    world: World,
) -> None:
    async def on_hold() -> None:
        async with world.runtime.sessions.begin() as session:
            assert await attempts.leave_pod(session, world.attempt_id, 1, "pod-1")

    async with _answering(says=False, when_asked=_once(on_hold)) as url:
        await world.beat("pod-1", url)
        await world.beat("pod-2")
        await world.silence("pod-1")
        assert await move_calls_of_silent_pods(world.runtime) == 0
    assert await move_calls_of_silent_pods(world.runtime) == 0
    assert world.carrier.updates == []
    row = await world.attempt()
    assert (row.stream_no, row.pod) == (1, None)


async def test_one_that_was_to_end_is_ended_and_not_moved(world: World) -> None:
    async with world.runtime.sessions.begin() as session:
        row = await attempts.lock(session, world.attempt_id)
        assert row is not None
        row.plan = "hangup"
    await world.beat("pod-2")
    await world.silence("pod-1")
    assert await move_calls_of_silent_pods(world.runtime) == 1
    assert (world.carrier.ended, world.carrier.updates) == ([SID], [])


def _once(hook: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    asked: list[bool] = []

    async def first() -> None:
        asked.append(True)
        if len(asked) == 1:
            await hook()

    return first


@asynccontextmanager
async def _answering(
    *, says: bool = True, when_asked: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[str]:
    """A pod's health door; or one behind which a process is stopped."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if when_asked is not None:
            await when_asked()
        if says:
            writer.write(b"HTTP/1.1 503 Draining\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        await done.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/health"
    finally:
        done.set()
        server.close()
        await server.wait_closed()
