"""What the carrier answers to a POST, and calls that are not the attempt's own."""

import pytest

from dialing_world import World, new_sid, some_phone, status
from outdial.operations.place_attempt import place_attempts
from outdial.operations.record_callback import record_event
from outdial.operations.run_sweeps import run_sweeps
from outdial.routing.slot_reservation import free_slots
from outdial.telephony.dial_result import (
    DialResult,
    NotSent,
    NotUpdated,
    Rejected,
)
from outdial.telephony.twilio_client import PlaceCall

pytestmark = pytest.mark.integration


async def test_a_foreign_call_that_names_an_attempt_is_stored_and_ended(world: World) -> None:
    attempt = await world.dial(await world.add_lead())
    foreign = new_sid()
    world.carrier.on_end = lambda _sid: NotUpdated("away")
    await world.hear(attempt.id, status("in-progress", 1, foreign))
    assert await world.unsettled() == 1  # until the carrier could be asked
    world.carrier.on_end = None
    await world.age(attempt.id, 3)
    await run_sweeps(world.runtime)
    assert (world.carrier.ended, await world.unsettled()) == ([foreign, foreign], 0)
    row = await world.attempt(attempt.id)
    assert (row.state, row.call_sid) == ("initiated", attempt.call_sid)


async def test_a_call_of_an_attempt_given_up_is_ended(world: World) -> None:
    attempt = await world.claim(await world.add_lead())
    await world.age(attempt.id, 31)
    await run_sweeps(world.runtime)
    sid = new_sid()
    await world.hear(attempt.id, status("ringing", 1, sid))
    assert world.carrier.ended == [sid]
    assert (await world.attempt(attempt.id)).end_reason == "claim_expired"


async def test_a_refusal_after_a_callback_is_not_believed(world: World) -> None:
    attempt = await world.claim(await world.add_lead())

    async def odd(call: PlaceCall, sid: str) -> DialResult:
        await record_event(world.runtime, call.attempt_id, status("ringing", 1, sid))
        return NotSent("a proxy says so")

    world.carrier.on_post = odd
    await world.place(attempt.id)
    assert (await world.attempt(attempt.id)).state == "ringing"


async def test_too_late_to_post(world: World) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)
    late = world.runtime.settings.model_copy(update={"post_too_late_seconds": -1.0})
    await place_attempts(
        type(world.runtime)(**{**vars(world.runtime), "settings": late}), [attempt.id]
    )
    assert world.carrier.posts == []
    row = await world.attempt(attempt.id)
    assert (row.end_reason, row.spent) == ("not_sent", False)
    back = await world.lead(lead.id)
    assert (back.state, back.unspent_tries, back.refusal) == ("backlog", 1, "not_sent")


@pytest.mark.parametrize(
    ("result", "state", "spent", "refusal"),
    [
        (Rejected(20429, 429, "slow"), "backlog", False, "rejected:20429"),
        (Rejected(99999, 400, "?"), "retry", True, None),
        (NotSent("refused"), "backlog", False, "not_sent"),
    ],
)
async def test_answers_that_end_an_attempt(
    world: World, result: DialResult, state: str, spent: bool, refusal: str | None
) -> None:
    lead = await world.add_lead()
    attempt = await world.claim(lead)

    async def answer(call: PlaceCall, sid: str) -> DialResult:
        return result

    world.carrier.on_post = answer
    await world.place(attempt.id)
    assert (await world.attempt(attempt.id)).spent is spent
    back = await world.lead(lead.id)
    assert (back.state, back.refusal) == (state, refusal)
    assert await free_slots(world.runtime.redis) == 100


async def test_an_invalid_number_moves_to_the_next_contact(world: World) -> None:
    second = some_phone()
    lead = await world.add_lead(some_phone(), second)
    attempt = await world.claim(lead)

    async def invalid(call: PlaceCall, sid: str) -> DialResult:
        return Rejected(21211, 400, "not a number")

    world.carrier.on_post = invalid
    await world.place(attempt.id)
    world.carrier.on_post = None
    assert (await world.attempt(attempt.id)).outcome == "invalid_number"
    assert (await world.dial(lead)).phone == second
