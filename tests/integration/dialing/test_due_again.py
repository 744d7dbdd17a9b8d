"""Whom the dispatcher is told of when a call ends: a lead that is due before it looks by itself."""

from dataclasses import replace

import pytest

from dialing_world import World, some_phone, status
from outdial.operations.settle_attempt import settle_attempt
from outdial.telephony.dial_result import Rejected
from remembered_hints import RememberedHints

pytestmark = pytest.mark.integration

INVALID_NUMBER = 21211


@pytest.fixture
def hints(world: World) -> RememberedHints:
    remembered = RememberedHints(world.runtime.settings)
    world.runtime = replace(world.runtime, hints=remembered)
    return remembered


async def test_a_lead_that_is_called_again_later_waits_for_a_tick(
    world: World, hints: RememberedHints
) -> None:
    lead = await world.add_lead()
    attempt = await world.dial(lead)
    assert attempt.call_sid is not None
    await world.hear(attempt.id, status("busy", 2, attempt.call_sid))
    assert (await world.lead(lead.id)).state == "retry"
    assert hints.dispatched == 0


async def test_a_leads_next_contact_is_called_at_once(world: World, hints: RememberedHints) -> None:
    async def refuse(*_: object) -> Rejected:
        return Rejected(INVALID_NUMBER, 400, "not a number")

    world.carrier.on_post = refuse
    lead = await world.add_lead(some_phone(), some_phone())
    attempt = await world.claim(lead)
    await world.place(attempt.id)
    assert (await world.lead(lead.id)).contact_position == 1
    assert hints.dispatched == 1
    assert await settle_attempt(world.runtime, attempt.id)  # once more changes nothing
    assert hints.dispatched == 1
