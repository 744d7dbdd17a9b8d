"""Who hangs up while no pod has their call is not waited for: nobody has a last word to say."""

import pytest

from outdial.operations.settle_attempt import settle_attempt
from outdial.operations.settle_unclosed_attempts import settle_unclosed_attempts
from outdial.storage.tables import Lead
from twilio_world import Twilio, World, element, verbs

pytestmark = pytest.mark.integration


@pytest.fixture
async def on_hold(twilio: Twilio, world: World) -> World:
    """The only pod has lost the call; it says that it would take it again."""
    await world.pods("pod-1")
    await world.reserve()
    await world.change(state="in_progress")
    await world.pod_says("stream_started", stream_no=1)
    held = await twilio.post(f"/twilio/callback/stream-ended/{world.attempt_id}/1")
    assert verbs(held) == ["Say", "Pause", "Redirect"]
    world.again = element(held, "Redirect").text or ""  # type: ignore[attr-defined]
    return world


async def hang_up(twilio: Twilio, world: World) -> None:
    form = {"CallStatus": "completed", "SequenceNumber": "3"}
    await twilio.post(f"/twilio/callback/status/{world.attempt_id}", form)
    await settle_attempt(world.runtime, world.attempt_id)
    assert (await world.attempt()).state == "in_progress"  # one witness has spoken


async def test_it_is_settled_at_once_and_the_lead_is_tried_again(
    twilio: Twilio, on_hold: World
) -> None:
    await hang_up(twilio, on_hold)
    assert await settle_unclosed_attempts(on_hold.runtime) == 1
    row = await on_hold.attempt()
    assert (row.state, row.outcome) == ("ended", "technical_failure")
    async with on_hold.runtime.sessions() as session:
        assert (await session.get_one(Lead, on_hold.lead_id)).state == "retry"


async def test_a_message_that_the_carrier_spoke_waits_for_no_pod(
    twilio: Twilio, world: World
) -> None:
    await world.pods("pod-1")
    await world.reserve()
    await world.change(state="in_progress", plan="voicemail")
    await world.pod_says("stream_started", stream_no=1)
    spoken = await twilio.post(f"/twilio/callback/stream-ended/{world.attempt_id}/1")  # it died
    assert verbs(spoken) == ["Say", "Redirect"]
    await twilio.post(f"/twilio/callback/voicemail-spoken/{world.attempt_id}")
    await hang_up(twilio, world)
    assert await settle_unclosed_attempts(world.runtime) == 1
    assert (await world.attempt()).outcome == "voicemail_left"


async def test_a_pod_that_was_just_told_to_take_it_is_waited_for(
    twilio: Twilio, on_hold: World
) -> None:
    await on_hold.pods("pod-1")  # it is heard again
    again: str = on_hold.again  # type: ignore[attr-defined]
    answer = await twilio.post(again.partition("#")[0].removeprefix("https://outdial.test"))
    assert "Connect" in verbs(answer)
    await on_hold.change(pod=None, boot_id=None)  # which one is written after the answer
    await hang_up(twilio, on_hold)
    assert await settle_unclosed_attempts(on_hold.runtime) == 0
    assert (await on_hold.attempt()).state == "in_progress"
