"""A message that no pod begins is spoken by the carrier: one of them leaves it, never both."""

import asyncio
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from outdial.domain.attempt_state import Plan
from outdial.domain.call_outcome import Outcome
from outdial.operations.leave_voicemail import leave_voicemail
from outdial.operations.record_callback import record_event
from outdial.operations.settle_attempt import settle_attempt
from outdial.operations.speak_voicemail import (
    speak_voicemail_if_pod_does_not,
    take_message_over,
)
from outdial.telephony.callback_events import amd_event
from outdial.telephony.dial_result import NotUpdated
from twilio_world import SID, Twilio, World, element, verbs

pytestmark = pytest.mark.integration

SCRIPT = "Hello Bo & family, call us back."


@pytest.fixture
async def machine(world: World) -> World:
    """A machine has answered, and the plan says so."""
    await world.pods("pod-1", "pod-2")
    await world.reserve()
    await world.change(state="in_progress")
    assert await leave_voicemail(world.runtime, world.attempt_id)
    return world


async def speak(world: World, verdict: str = "machine_end_beep") -> bool:
    event = amd_event({"CallSid": SID, "AnsweredBy": verdict}, datetime.now(UTC))
    await record_event(world.runtime, world.attempt_id, event)
    return await speak_voicemail_if_pod_does_not(world.runtime, world.attempt_id, 0)


def words(world: World) -> list[str]:
    ((sid, text),) = world.carrier.updates
    assert sid == SID
    return [verb.tag for verb in ET.fromstring(text)]


async def test_a_pod_that_does_not_answer_has_the_carrier_speak(machine: World) -> None:
    assert await speak(machine)
    assert words(machine) == ["Say", "Redirect"]
    assert ET.fromstring(machine.carrier.updates[0][1])[0].text == SCRIPT
    row = await machine.attempt()
    assert (row.plan, row.stream_no) == (Plan.VOICEMAIL, 2)


async def test_without_knowing_of_a_beep_it_waits_a_little(machine: World) -> None:
    assert await speak(machine, "machine_start")
    assert words(machine) == ["Pause", "Say", "Redirect"]


@pytest.mark.parametrize("kind", ["voicemail_begun", "voicemail_left", "conversation_closed"])
async def test_a_pod_that_is_at_it_is_left_alone(machine: World, kind: str) -> None:
    await machine.pod_says(kind, stream_no=1)
    assert not await speak(machine)
    assert machine.carrier.updates == []
    assert (await machine.attempt()).stream_no == 1


async def test_what_an_earlier_pod_began_does_not_count(machine: World) -> None:
    await machine.pod_says("voicemail_begun", stream_no=1)
    await machine.change(stream_no=2)
    assert await speak(machine)


@pytest.mark.parametrize("columns", [{"stop_reason": "canceled"}, {"plan": "hangup"}])
async def test_a_call_that_was_stopped_meanwhile_is_told_nothing(
    machine: World, columns: dict[str, str]
) -> None:
    await machine.change(**columns)
    assert not await speak(machine)
    assert machine.carrier.updates == []


async def test_of_several_who_take_over_one_wins(machine: World) -> None:
    won = await asyncio.gather(
        *(take_message_over(machine.runtime, machine.attempt_id, 1) for _ in range(5))
    )
    assert sum(won) == 1
    assert (await machine.attempt()).stream_no == 2


async def test_a_refused_update_is_made_good_when_the_stream_ends(
    twilio: Twilio, machine: World
) -> None:
    machine.carrier.answer = NotUpdated("not in progress")
    assert not await speak(machine)
    path = f"/twilio/callback/stream-ended/{machine.attempt_id}/1"
    answer = await twilio.post(path)
    assert verbs(answer) == ["Say", "Redirect"]
    assert element(answer, "Say").text == SCRIPT


async def test_a_message_spoken_to_its_end_is_a_message_left(
    twilio: Twilio, machine: World
) -> None:
    await speak(machine)
    url = ET.fromstring(machine.carrier.updates[0][1]).findtext("Redirect") or ""
    path = url.partition("#")[0].removeprefix("https://outdial.test")
    assert verbs(await twilio.post(path)) == ["Hangup"]
    ended = {"CallStatus": "completed", "SequenceNumber": "3"}
    await twilio.post(f"/twilio/callback/status/{machine.attempt_id}", ended)
    # What comes late finds the message left, and does not speak it again.
    again = await twilio.post(f"/twilio/callback/stream-ended/{machine.attempt_id}/1")
    assert verbs(again) == ["Hangup"]
    await settle_attempt(machine.runtime, machine.attempt_id)
    assert (await machine.attempt()).outcome == Outcome.VOICEMAIL_LEFT
