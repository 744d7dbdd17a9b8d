"""Which callbacks a worker is told of at once, and which are all written when they come."""

import pytest
from fastapi import FastAPI

from outdial.operations.settle_attempt import settle_attempt
from outdial.routing.keys import POD_PREFIX
from outdial.routing.slot_reservation import reserve
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


async def lease_ends(world: World) -> float:
    """When the slot's reservation runs out, in Redis's milliseconds."""
    key = f"{POD_PREFIX}pod-1:reserved"
    return float(await world.runtime.redis.zscore(key, str(world.attempt_id)) or 0)


@pytest.mark.parametrize("bound", [None, SID], ids=["unbound", "bound"])
async def test_that_it_begins_is_written_at_once(
    twilio: Twilio, world: World, hints: RememberedHints, bound: str | None
) -> None:
    await world.change(state="dialing", call_sid=bound)
    await told(twilio, world, "initiated")
    attempt = await world.attempt()
    assert (attempt.state, attempt.call_sid) == ("initiated", SID)
    assert attempt.initiated_at is not None
    assert (hints.settled, await unread(world)) == ([], 0)


@pytest.mark.parametrize("call_status", ["in-progress", "completed", "busy"])
async def test_what_goes_further_is_read_at_once(
    twilio: Twilio, world: World, hints: RememberedHints, call_status: str
) -> None:
    await world.change(state="dialing", call_sid=None)
    await told(twilio, world, call_status)
    assert hints.settled == [world.attempt_id]


@pytest.mark.parametrize("bound", [None, SID], ids=["unbound", "bound"])
async def test_that_it_rings_is_written_at_once_and_keeps_the_slot(
    twilio: Twilio, world: World, hints: RememberedHints, bound: str | None
) -> None:
    await world.pods("pod-1")
    await reserve(world.runtime.redis, world.attempt_id, 5)
    before = await lease_ends(world)
    assert before
    await world.change(state="dialing", call_sid=bound)
    await told(twilio, world, "ringing")
    attempt = await world.attempt()
    assert (attempt.state, attempt.call_sid) == ("ringing", SID)
    assert attempt.ringing_at is not None
    assert (hints.settled, await unread(world)) == ([], 0)
    assert await lease_ends(world) > before + 10_000


async def test_what_rang_goes_on_as_if_it_had_been_settled(
    twilio: Twilio, world: World, hints: RememberedHints
) -> None:
    await world.change(state="dialing", call_sid=None)
    await told(twilio, world, "ringing")
    rang = await world.attempt()
    await settle_attempt(world.runtime, world.attempt_id)
    settled = await world.attempt()
    assert (settled.state, settled.ringing_at) == (rang.state, rang.ringing_at)
    assert settled.facts["carrier_status"] == "ringing"
    assert hints.settled == []


@pytest.mark.parametrize("state", ["in_progress", "unknown"])
async def test_ringing_that_comes_late_or_is_a_find_is_read(
    twilio: Twilio, world: World, hints: RememberedHints, state: str
) -> None:
    await world.change(state=state)
    await told(twilio, world, "ringing")
    assert (await world.attempt()).state == state
    assert hints.settled == [world.attempt_id]


@pytest.mark.parametrize("call_status", ["initiated", "ringing"])
async def test_a_call_that_should_not_begin_is_ended_at_once(
    twilio: Twilio, world: World, hints: RememberedHints, call_status: str
) -> None:
    await world.change(state="dialing", call_sid=None, stop_reason="opted_out")
    await told(twilio, world, call_status)
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
