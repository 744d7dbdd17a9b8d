"""Which callbacks a worker is told of at once, and which are read with the next one."""

import pytest
from fastapi import FastAPI

from outdial.storage import call_events
from remembered_hints import RememberedHints
from twilio_world import SID, Twilio, World, swap

pytestmark = pytest.mark.integration


@pytest.fixture
def hints(app: FastAPI) -> RememberedHints:
    remembered = RememberedHints(app.state.runtime.settings)
    swap(app, hints=remembered)
    return remembered


async def told(twilio: Twilio, world: World, call_status: str, sid: str = SID) -> None:
    form = {"CallSid": sid, "CallStatus": call_status, "SequenceNumber": "0"}
    answer = await twilio.post(f"/twilio/callback/status/{world.attempt_id}", form)
    assert answer.status_code == 204


async def unread(world: World) -> int:
    async with world.runtime.sessions() as session:
        events, _ = await call_events.read(session, world.attempt_id)
    return sum(one.unread for one in events)


@pytest.mark.parametrize("bound", [None, SID], ids=["unbound", "bound"])
async def test_initiated_is_read_with_the_answer_to_our_post(
    twilio: Twilio, world: World, hints: RememberedHints, bound: str | None
) -> None:
    await world.change(state="dialing", call_sid=bound)
    await told(twilio, world, "initiated")
    assert hints.settled == []
    assert await unread(world) == 1  # so that the sweep finds it if nothing else comes


@pytest.mark.parametrize("call_status", ["ringing", "in-progress", "completed", "busy"])
async def test_what_goes_further_is_read_at_once(
    twilio: Twilio, world: World, hints: RememberedHints, call_status: str
) -> None:
    await world.change(state="dialing", call_sid=None)
    await told(twilio, world, call_status)
    assert hints.settled == [world.attempt_id]


async def test_a_call_that_should_not_begin_is_ended_at_once(
    twilio: Twilio, world: World, hints: RememberedHints
) -> None:
    await world.change(state="dialing", call_sid=None, stop_reason="opted_out")
    await told(twilio, world, "initiated")
    assert hints.settled == [world.attempt_id]


async def test_a_call_that_was_being_looked_for_is_found_at_once(
    twilio: Twilio, world: World, hints: RememberedHints
) -> None:
    await world.change(state="unknown", call_sid=None)
    await told(twilio, world, "initiated")
    assert hints.settled == [world.attempt_id]


async def test_another_call_of_the_attempt_is_looked_at_at_once(
    twilio: Twilio, world: World, hints: RememberedHints
) -> None:
    await world.change(state="dialing")
    await told(twilio, world, "initiated", "CA" + "2" * 32)
    assert hints.settled == [world.attempt_id]
