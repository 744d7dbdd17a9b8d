"""The plan `transfer`: a human is dialed once, hears the whisper, and their absence is told."""

from uuid import UUID, uuid4

import httpx
import pytest
from outdial.domain.call_outcome import Outcome
from outdial.domain.call_template import Agent, CallTemplate, Transfer
from outdial.operations.create_template import create_template
from outdial.operations.settle_attempt import settle_attempt
from outdial.operations.transfer_call import transfer_call
from twilio_world import SID, Twilio, World, element, verbs

pytestmark = pytest.mark.integration

HUMAN = "+15550009999"
FALLBACK = "Nobody is free & I am sorry."


async def put_through(world: World, **fields: str) -> World:
    """The agent hands the call to a human, and the pod leaves."""
    transfer = Transfer(HUMAN, fallback=FALLBACK, timeout_seconds=20, **fields)
    template = CallTemplate("put-through", Agent("Ada", "Hello.", "Ask."), transfer=transfer)
    row = await create_template(world.runtime, template)
    await world.change(state="in_progress", template_id=row.id)
    assert await transfer_call(world.runtime, world.attempt_id)
    return world


async def stream_ended(twilio: Twilio, world: World) -> httpx.Response:
    return await twilio.post(f"/twilio/callback/stream-ended/{world.attempt_id}/1")


async def dial_ended(twilio: Twilio, attempt_id: UUID, status: str, **form: str) -> httpx.Response:
    path = f"/twilio/callback/transfer-ended/{attempt_id}"
    return await twilio.post(path, {"DialCallStatus": status, "DialCallSid": "CA9", **form})


async def test_when_the_stream_ends_the_human_is_dialed(twilio: Twilio, world: World) -> None:
    await put_through(world)
    answer = await stream_ended(twilio, world)
    assert verbs(answer) == ["Dial"]
    dial = element(answer, "Dial").attrib
    assert (dial["timeout"], dial["callerId"]) == ("20", "+15005550006")
    expected = f"https://outdial.test/twilio/callback/transfer-ended/{world.attempt_id}"
    assert dial["action"].partition("#")[0] == expected
    number = element(answer, "Number")
    assert (number.text, number.attrib) == (HUMAN, {})
    assert (await stream_ended(twilio, world)).text == answer.text


async def test_the_human_hears_the_whisper_and_sees_the_number_that_was_chosen(
    twilio: Twilio, world: World
) -> None:
    await put_through(world, whisper="A lead <hot>.", caller_id="+15005550001")
    answer = await stream_ended(twilio, world)
    assert element(answer, "Dial").attrib["callerId"] == "+15005550001"
    url = element(answer, "Number").attrib["url"].partition("#")[0]
    whisper = await twilio.post(url.removeprefix("https://outdial.test"), {"CallSid": "CA9"})
    assert verbs(whisper) == ["Say"]
    assert element(whisper, "Say").text == "A lead <hot>."


async def test_nobody_hears_the_whisper_of_a_call_that_is_not_put_through(
    twilio: Twilio, world: World
) -> None:
    path = f"/twilio/callback/transfer-whisper/{world.attempt_id}"
    assert verbs(await twilio.post(path)) == []
    unsigned = await twilio.post(path, signature=None)
    assert unsigned.status_code == 403


async def test_when_they_have_met_the_call_is_transferred(twilio: Twilio, world: World) -> None:
    await put_through(world)
    await stream_ended(twilio, world)
    assert verbs(await dial_ended(twilio, world.attempt_id, "completed")) == ["Hangup"]
    await twilio.post(
        f"/twilio/callback/status/{world.attempt_id}",
        {"CallStatus": "completed", "SequenceNumber": "3"},
    )
    await world.pod_says("conversation_closed", stream_no=1, ended_by="agent", reason="transfer")
    await settle_attempt(world.runtime, world.attempt_id)
    row = await world.attempt()
    assert (row.outcome, row.facts["transfer_status"]) == (Outcome.TRANSFERRED, "completed")


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled", ""])
async def test_when_nobody_comes_the_person_is_told_and_the_facts_say_so(
    twilio: Twilio, world: World, status: str
) -> None:
    await put_through(world)
    await stream_ended(twilio, world)
    for _ in range(2):  # Twilio may ask twice
        answer = await dial_ended(twilio, world.attempt_id, status)
        assert verbs(answer) == ["Say", "Hangup"]
        assert element(answer, "Say").text == FALLBACK
    told = [event for event in await world.events() if event.source == "transfer"]
    assert [event.payload["DialCallStatus"] for event in told] == [status]
    # A late `action` of the stream does not dial again.
    assert verbs(await stream_ended(twilio, world)) == ["Hangup"]
    await settle_attempt(world.runtime, world.attempt_id)
    facts = (await world.attempt()).facts
    assert (facts["transfer_status"], facts["transferred"]) == (status, False)


async def test_a_person_who_hung_up_during_the_dial_needs_nothing(
    twilio: Twilio, world: World
) -> None:
    await put_through(world)
    over = await dial_ended(twilio, world.attempt_id, "canceled", CallStatus="completed")
    assert verbs(over) == []


async def test_a_call_that_was_stopped_is_not_put_through(twilio: Twilio, world: World) -> None:
    await put_through(world)
    await world.change(stop_reason="opted_out")
    assert verbs(await stream_ended(twilio, world)) == ["Hangup"]
    assert verbs(await dial_ended(twilio, world.attempt_id, "busy")) == ["Hangup"]


async def test_a_dial_of_nobodys_is_hung_up(twilio: Twilio, world: World) -> None:
    assert verbs(await dial_ended(twilio, uuid4(), "busy")) == ["Hangup"]
    assert SID in world.carrier.ended
