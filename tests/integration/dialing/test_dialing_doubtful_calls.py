"""Calls of which nobody knows whether they were placed: found again, or never dialed again."""

from datetime import timedelta

import pytest

from dialing_world import World, new_sid, pod, some_phone, status
from outdial.operations.run_sweeps import run_sweeps
from outdial.telephony.dial_result import (
    DialResult,
    OutcomeUnknown,
)
from outdial.telephony.twilio_client import PlaceCall

pytestmark = pytest.mark.integration


class Killed(BaseException):
    """The worker died here."""


async def die(call: PlaceCall, sid: str) -> DialResult:
    raise Killed


async def test_killed_between_commit_and_post_is_never_dialed_again(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    world.carrier.on_post = die
    await world.place(attempt.id)
    world.carrier.known.clear()  # it died before the request went out
    world.carrier.on_post = None
    await world.place(attempt.id)
    assert (await world.dispatch()).claimed == []
    await world.age(attempt.id, 16)
    assert (await run_sweeps(world.runtime))["mark_unknown_attempts"] == 1
    assert (await world.attempt(attempt.id)).state == "unknown"
    await world.age(attempt.id, 600)
    assert (await run_sweeps(world.runtime))["reconcile_unknown_attempts"] == 1
    spent = await world.attempt(attempt.id)
    assert (spent.state, spent.spent, spent.outcome) == ("ended", True, "failed")
    waiting = await world.lead(lead.id)
    assert waiting.state == "retry"
    assert waiting.next_attempt_at is not None
    assert spent.ended_at is not None
    assert waiting.next_attempt_at - spent.ended_at >= timedelta(seconds=599)
    assert len(world.carrier.posts) == 1


async def test_killed_after_the_post_is_found_in_the_call_list(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    world.carrier.on_post = die
    await world.place(attempt.id)
    (sid,) = world.carrier.known
    await world.age(attempt.id, 3)  # the list tells of calls made after the intent
    await world.execute("UPDATE attempts SET state = 'unknown' WHERE id = :id", id=attempt.id)
    await world.age(attempt.id, 6)
    assert (await run_sweeps(world.runtime))["reconcile_unknown_attempts"] == 1
    found = await world.attempt(attempt.id)
    assert (found.state, found.call_sid) == ("ringing", sid)


async def test_two_calls_in_the_list_bind_nothing(world: World) -> None:
    attempt = await world.claim(await world.add_lead())

    async def lost(call: PlaceCall, sid: str) -> DialResult:
        return OutcomeUnknown("read timeout")

    world.carrier.on_post = lost
    await world.place(attempt.id)
    world.carrier.remember(attempt.phone, attempt.caller_number, new_sid())
    await world.age(attempt.id, 6)
    await run_sweeps(world.runtime)
    found = await world.attempt(attempt.id)
    assert (found.state, found.call_sid) == ("unknown", None)


async def test_a_call_of_another_attempt_is_not_taken(world: World) -> None:
    phone = some_phone()
    first = await world.dial(await world.add_lead(phone))
    await world.hear(first.id, status("busy", 1, str(first.call_sid)))
    second = await world.claim(await world.add_lead(phone))
    world.carrier.on_post = die
    await world.place(second.id)
    world.carrier.known = {str(first.call_sid): world.carrier.known[str(first.call_sid)]}
    await world.age(second.id, 16)
    await run_sweeps(world.runtime)
    await world.age(second.id, 6)
    await run_sweeps(world.runtime)
    assert (await world.attempt(second.id)).call_sid is None


async def test_a_callback_rescues_an_unknown_attempt(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    world.carrier.on_post = die
    await world.place(attempt.id)
    await world.age(attempt.id, 16)
    await run_sweeps(world.runtime)
    (sid,) = world.carrier.known
    await world.hear(attempt.id, status("ringing", 1, sid))
    found = await world.attempt(attempt.id)
    assert (found.state, found.call_sid) == ("ringing", sid)


async def test_a_call_of_which_only_the_pod_has_told_is_looked_for(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    world.carrier.on_post = die
    await world.place(attempt.id)
    await world.age(attempt.id, 16)
    await world.hear(attempt.id, pod("stream_started", stream_no=1))
    await world.hear(attempt.id, pod("conversation_closed", stream_no=1, ended_by="person"))
    assert (await world.attempt(attempt.id)).call_sid is None
    (sid,) = world.carrier.known
    await world.age(attempt.id, 16)
    await run_sweeps(world.runtime)
    assert (await world.attempt(attempt.id)).call_sid == sid
