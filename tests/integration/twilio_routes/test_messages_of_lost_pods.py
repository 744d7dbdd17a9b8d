"""A message whose pod or gateway is lost: the carrier leaves it, once where that is known."""

import asyncio
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from fastapi import FastAPI

from outdial.operations.leave_voicemail import leave_voicemail
from outdial.operations.move_calls_of_silent_pods import move_calls_of_silent_pods
from outdial.operations.speak_unbegun_messages import speak_unbegun_messages
from outdial.operations.speak_voicemail import speak_voicemail_if_pod_does_not
from outdial.routing import keys
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.telephony.dial_result import NotUpdated, Updated, UpdateResult
from twilio_world import SID, FakeCarrier, Twilio, World, swap, verbs

pytestmark = pytest.mark.integration

SCRIPT = "Hello Bo & family, call us back."
NOBODY_LISTENS = "http://127.0.0.1:9/health"


@pytest.fixture
async def machine(world: World) -> World:
    """A machine has answered on pod-1, which is to leave the message."""
    await world.pods("pod-1", "pod-2")
    assert await world.reserve() == "pod-1"
    await world.change(state="in_progress")
    assert await leave_voicemail(world.runtime, world.attempt_id)
    return world


async def freeze(world: World) -> None:
    """pod-1 has been silent for just too long, and does not answer when it is asked."""
    redis, url = world.runtime.redis, "wss://outdial.test/pods/pod-1"
    heartbeat = Heartbeat("pod-1", "b1", url, 2, health_url=NOBODY_LISTENS)
    await beat(redis, heartbeat, world.runtime.settings)
    await redis.zincrby(keys.SEEN, -4000, "pod-1")


async def wait_long(world: World) -> None:
    """Nothing has been heard of the call for longer than a gateway needs."""
    await world.change(heard_at=datetime.now(UTC) - timedelta(seconds=6))


def spoken(world: World) -> list[str | None]:
    """What the carrier was told to say, each time that it was."""
    assert {sid for sid, _ in world.carrier.updates} <= {SID}
    return [ET.fromstring(text).findtext("Say") for _, text in world.carrier.updates]


async def test_a_pod_that_freezes_in_its_message_has_the_carrier_speak_once(
    machine: World,
) -> None:
    await machine.pod_says("voicemail_begun", stream_no=1)
    assert await move_calls_of_silent_pods(machine.runtime) == 0
    await freeze(machine)
    assert await move_calls_of_silent_pods(machine.runtime) == 1
    await freeze(machine)
    assert await move_calls_of_silent_pods(machine.runtime) == 0
    await wait_long(machine)
    assert await speak_unbegun_messages(machine.runtime) == 0
    assert spoken(machine) == [SCRIPT]
    row = await machine.attempt()
    assert (row.plan, row.stream_no, row.pod) == ("voicemail", 2, None)


async def test_a_message_that_was_left_is_not_left_again_and_the_call_ends(machine: World) -> None:
    await machine.pod_says("voicemail_left")
    await freeze(machine)
    assert await move_calls_of_silent_pods(machine.runtime) == 1
    assert (spoken(machine), machine.carrier.ended) == ([], [SID])
    assert (await machine.attempt()).plan == "hangup"


async def test_a_call_that_was_to_end_is_ended_for_the_frozen_pod(machine: World) -> None:
    await machine.change(plan="hangup")
    await freeze(machine)
    assert await move_calls_of_silent_pods(machine.runtime) == 1
    assert machine.carrier.ended == [SID]
    await machine.change(facts={"carrier_status": "completed"})
    await freeze(machine)
    assert await move_calls_of_silent_pods(machine.runtime) == 0


async def test_a_call_that_a_human_has_is_not_touched(machine: World) -> None:
    await machine.change(plan="transfer")
    await freeze(machine)
    assert await move_calls_of_silent_pods(machine.runtime) == 0
    assert (machine.carrier.updates, machine.carrier.ended) == ([], [])


async def test_what_the_carrier_did_not_hear_is_told_again(machine: World) -> None:
    await machine.pod_says("voicemail_begun", stream_no=1)
    await freeze(machine)
    machine.carrier.answer = NotUpdated("away")
    assert await move_calls_of_silent_pods(machine.runtime) == 0
    machine.carrier.answer = Updated()
    await freeze(machine)
    assert await move_calls_of_silent_pods(machine.runtime) == 1
    assert (await machine.attempt()).pod is None


async def test_a_message_spoken_in_answer_to_action_is_left_alone_by_the_watcher(
    twilio: Twilio, machine: World
) -> None:
    await machine.pod_says("voicemail_begun", stream_no=1)
    path = f"/twilio/callback/stream-ended/{machine.attempt_id}/1"
    answers = [await twilio.post(path) for _ in range(2)]  # its socket closed when it was killed
    assert [verbs(answer) for answer in answers] == [["Say", "Redirect"]] * 2
    await freeze(machine)
    assert await move_calls_of_silent_pods(machine.runtime) == 0
    await wait_long(machine)
    assert await speak_unbegun_messages(machine.runtime) == 0
    assert spoken(machine) == []


async def test_where_the_gateway_died_first_the_sweep_has_it_spoken_once(machine: World) -> None:
    await machine.change(heard_at=datetime.now(UTC))
    assert await speak_unbegun_messages(machine.runtime) == 0  # the gateway may still be at it
    await wait_long(machine)
    assert await speak_unbegun_messages(machine.runtime) == 1
    await wait_long(machine)
    assert await speak_unbegun_messages(machine.runtime) == 0
    assert spoken(machine) == [SCRIPT]


@pytest.mark.parametrize("kind", ["voicemail_begun", "voicemail_left", "conversation_closed"])
async def test_a_pod_that_is_at_it_may_take_its_time(machine: World, kind: str) -> None:
    await machine.pod_says(kind, stream_no=1)
    await wait_long(machine)
    assert await speak_unbegun_messages(machine.runtime) == 0
    assert spoken(machine) == []


class Slow(FakeCarrier):
    """Takes a word for as long as the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.goes_on = asyncio.Event(), asyncio.Event()

    async def update_twiml(self, sid: str, twiml: str) -> UpdateResult:
        self.asked.set()
        await self.goes_on.wait()
        return await super().update_twiml(sid, twiml)


async def test_gateway_and_sweep_at_once_have_it_spoken_once(app: FastAPI, machine: World) -> None:
    machine.carrier = slow = Slow()
    swap(app, carrier=slow)
    machine.runtime = app.state.runtime
    await wait_long(machine)
    gateway = asyncio.create_task(
        speak_voicemail_if_pod_does_not(machine.runtime, machine.attempt_id, 0)
    )
    await asyncio.wait_for(slow.asked.wait(), 10)  # it has taken the message, and tells the carrier
    assert await speak_unbegun_messages(machine.runtime) == 0
    await freeze(machine)
    slow.goes_on.set()
    assert await gateway
    assert spoken(machine) == [SCRIPT]


async def test_of_gateway_and_sweep_that_begin_at_once_one_wins(machine: World) -> None:
    await wait_long(machine)
    await asyncio.gather(
        *(speak_voicemail_if_pod_does_not(machine.runtime, machine.attempt_id, 0) for _ in "12"),
        *(speak_unbegun_messages(machine.runtime) for _ in "12"),
    )
    assert spoken(machine) == [SCRIPT]
    assert (await machine.attempt()).stream_no == 2
