"""One lead from due to finished, and the ways in which a call may be told of."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest

from dialing_world import World, closed, conversation, plain, pod, some_phone, status, tool
from outdial.domain.attempt_state import AttemptState
from outdial.routing.slot_reservation import holder
from outdial.telephony.dial_result import Accepted, DialResult, OutcomeUnknown
from outdial.telephony.twilio_client import PlaceCall

pytestmark = pytest.mark.integration


async def test_a_claim_binds_lead_attempt_caller_and_slot(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    assert attempt.state == AttemptState.QUEUED
    assert attempt.caller_number == "+15005550006"
    assert (attempt.pod, attempt.boot_id) == ("pod-1", "boot-1")
    bound = await world.lead(lead.id)
    assert (bound.state, bound.live_attempt_id) == ("active", attempt.id)
    assert await holder(world.runtime.redis, attempt.id) is not None


async def test_what_is_posted(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    (call,) = world.carrier.posts
    assert (call.to, call.attempt_id) == (attempt.phone, attempt.id)
    assert call.hint.pod_id == "pod-1"
    assert call.hint.template_id == world.template_id
    assert (call.detection, call.record) == ("Enable", True)
    assert call.time_limit == 5 * 60 + 120
    assert attempt.state == AttemptState.INITIATED
    assert attempt.intent_at is not None


async def test_a_conversation_from_ring_to_result(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.dial(lead)
    sid = str(attempt.call_sid)
    states = []
    for event in conversation(sid, tool("record_outcome", confirmed=True)):
        await world.hear(attempt.id, event)
        states.append((await world.attempt(attempt.id)).state)
    assert states[:4] == ["initiated", "ringing", "in_progress", "in_progress"]
    ended = await world.attempt(attempt.id)
    assert (ended.state, ended.outcome, ended.spent) == ("ended", "completed", True)
    done = await world.lead(lead.id)
    assert (done.state, done.outcome, done.result) == (
        "finished",
        "completed",
        {"confirmed": True},
    )
    assert done.live_attempt_id is None
    assert await holder(world.runtime.redis, attempt.id) is None
    assert await world.unsettled() == 0


async def test_busy_is_tried_again_and_then_given_up(world: World) -> None:
    lead = await world.add_lead()
    for _ in range(3):
        attempt = await world.dial(lead)
        await world.hear(attempt.id, status("busy", 1, str(attempt.call_sid)))
        await world.make_due(lead)
    done = await world.lead(lead.id)
    assert (done.state, done.outcome) == ("finished", "busy")
    assert [one.outcome for one in await world.attempts_of(lead)] == ["busy"] * 3
    assert (await world.dispatch()).claimed == []


async def test_the_first_callback_may_say_answered(world: World) -> None:
    attempt = await world.claim(await world.add_lead())

    async def lost(call: PlaceCall, sid: str) -> DialResult:
        await world.hear(call.attempt_id, status("in-progress", 2, sid))
        return OutcomeUnknown("the answer was lost")

    world.carrier.on_post = lost
    await world.place(attempt.id)
    found = await world.attempt(attempt.id)
    assert (found.state, found.call_sid) == ("in_progress", next(iter(world.carrier.known)))


async def test_an_answer_that_is_later_than_the_whole_call(world: World) -> None:
    attempt = await world.claim(await world.add_lead())

    async def slow(call: PlaceCall, sid: str) -> DialResult:
        await world.hear(call.attempt_id, status("busy", 1, sid))
        return Accepted(sid)

    world.carrier.on_post = slow
    await world.place(attempt.id)
    found = await world.attempt(attempt.id)
    assert (found.state, found.outcome) == ("ended", "busy")
    assert world.carrier.ended == []
    assert await world.unsettled() == 0


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_and_repetition_gives_the_same_rows(world: World, seed: int) -> None:
    told = []
    for shuffled in (False, True):
        lead = await world.add_lead()
        attempt = await world.dial(lead)
        events = conversation(str(attempt.call_sid), tool("record_outcome", ok=1))
        at = datetime(2026, 1, 1, tzinfo=UTC)
        events = [
            type(one)(**{**vars(one), "occurred_at": at + timedelta(seconds=n)})
            for n, one in enumerate(events)
        ]
        if shuffled:
            events = events * 2
            random.Random(seed).shuffle(events)
        for event in events:
            await world.hear(attempt.id, event)
        row = plain(await world.attempt(attempt.id))
        told.append({**row, "call_sid": None})
        assert (await world.lead(lead.id)).outcome == "completed"
    assert told[0] == told[1]


async def test_two_witnesses(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.dial(lead)
    sid = str(attempt.call_sid)
    await world.hear(
        attempt.id,
        status("in-progress", 1, sid),
        pod("stream_started", stream_no=1),
        status("completed", 2, sid),
    )
    assert (await world.attempt(attempt.id)).state == "in_progress"
    assert (await world.lead(lead.id)).state == "active"
    await world.hear(attempt.id, closed("person", "person_hung_up", 1))
    assert (await world.attempt(attempt.id)).outcome == "hung_up"


async def test_numbers_of_tests_differ() -> None:
    assert len({some_phone() for _ in itertools.repeat(None, 20)}) == 20
