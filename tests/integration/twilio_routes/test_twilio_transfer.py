"""The plan `transfer`: a human is dialed once; if nobody comes, the agent has the call again."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest

from outdial.domain.call_events import Event, Source
from outdial.domain.call_outcome import Outcome
from outdial.domain.call_template import Agent, CallTemplate, Transfer
from outdial.operations.conversation_record import open_conversation
from outdial.operations.create_template import create_template
from outdial.operations.record_callback import record_event
from outdial.operations.settle_attempt import settle_attempt
from outdial.operations.transfer_call import transfer_call
from outdial.routing import keys
from outdial.routing.stream_token import verify
from outdial.storage import transcripts
from outdial.storage.tables import Attempt, Lead
from twilio_world import SID, Twilio, World, element, verbs

pytestmark = pytest.mark.integration

HUMAN = "+15550009999"


async def put_through(world: World, **fields: str) -> World:
    """The agent hands the call to a human, and the pod leaves."""
    transfer = Transfer(HUMAN, timeout_seconds=20, **fields)
    template = CallTemplate("put-through", Agent("Ada", "Hello.", "Ask."), transfer=transfer)
    row = await create_template(world.runtime, template)
    await world.pods("pod-1", "pod-2")
    await world.reserve()
    await world.change(state="in_progress", template_id=row.id)
    async with world.runtime.sessions.begin() as session:
        for name, arguments in (("record_outcome", {}), ("transfer_to_human", {"goodbye": "Wait"})):
            await transcripts.save_tool_call(
                session, world.attempt_id, 1, call_id=name, name=name, arguments=arguments
            )
            await transcripts.finish_tool_call(session, world.attempt_id, name, {"ok": True})
    assert await transfer_call(world.runtime, world.attempt_id)
    await world.pod_says("stream_started", stream_no=1)
    await world.pod_says(
        "conversation_closed", stream_no=1, ended_by="agent", reason="transfer", human_turns=2
    )
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
    await settle_attempt(world.runtime, world.attempt_id)
    row = await world.attempt()
    assert (row.outcome, row.facts["transfer_status"]) == (Outcome.TRANSFERRED, "completed")


def stream_of(answer: httpx.Response, world: World) -> tuple[str, int]:
    """Pod and stream number that the TwiML connects with."""
    url = element(answer, "Stream").attrib["url"]
    claims = verify(world.runtime.settings.stream_secret, url.rsplit("/", 1)[1], time.time())
    return url.split("/pods/")[1].split("/")[0], claims.stream_no


async def pod_tells(world: World, kind: str, stream_no: int, **payload: object) -> None:
    said = {"stream_no": stream_no, **payload}
    event = Event(Source.POD, kind, f"{kind}:{stream_no}", datetime.now(UTC), None, said)
    await record_event(world.runtime, world.attempt_id, event)


async def nobody_came(world: World, stream_no: int) -> bool:
    """Whether the pod of this stream has that to say."""
    brief = await open_conversation(world.runtime, world.attempt_id, stream_no)
    assert brief is not None
    return brief.nobody_came


async def over(twilio: Twilio, world: World) -> Attempt:
    """The call ends, and is settled."""
    form = {"CallStatus": "completed", "SequenceNumber": "3"}
    await twilio.post(f"/twilio/callback/status/{world.attempt_id}", form)
    await settle_attempt(world.runtime, world.attempt_id)
    return await world.attempt()


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled", ""])
async def test_when_nobody_comes_the_agent_takes_the_call_back(
    twilio: Twilio, world: World, status: str
) -> None:
    await put_through(world, fallback="Nobody is free, {{name}}.")
    await stream_ended(twilio, world)
    answers = [await dial_ended(twilio, world.attempt_id, status) for _ in range(2)]  # asked twice
    (where,) = {stream_of(answer, world) for answer in answers}
    assert where[1] == 2
    row = await world.attempt()
    assert (row.plan, row.stream_no, row.pod) == ("conversation", 2, where[0])
    # A late `action` of the first stream does not dial again: the call is connected already.
    assert stream_of(await stream_ended(twilio, world), world) == where
    # The pod knows why it has the call, and the model that it cannot try that again.
    brief = await open_conversation(world.runtime, world.attempt_id, 2)
    assert brief is not None
    assert (brief.nobody_came, brief.transfer_fallback) == (True, "Nobody is free, Bo.")
    results = {call.name: call.result for call in brief.tool_history}
    assert results["record_outcome"] == {"ok": True}
    assert f"nobody took the call ({status})" in str(results["transfer_to_human"])
    assert not await transfer_call(world.runtime, world.attempt_id)
    assert (await world.attempt()).plan == "conversation"
    told = [event for event in await world.events() if event.source == "transfer"]
    assert [event.payload["DialCallStatus"] for event in told] == [status]


async def test_a_socket_that_was_refused_leaves_it_to_the_next_to_say(
    twilio: Twilio, world: World
) -> None:
    await put_through(world)
    await dial_ended(twilio, world.attempt_id, "busy")
    await world.pods("pod-3")
    refused = await twilio.post(f"/twilio/callback/stream-ended/{world.attempt_id}/2")
    assert stream_of(refused, world)[1] == 3
    assert await nobody_came(world, 3)


async def test_who_picks_up_and_leaves_before_they_meet_has_not_come(
    twilio: Twilio, world: World
) -> None:
    await put_through(world)
    answer = await dial_ended(twilio, world.attempt_id, "completed", DialBridged="false")
    assert stream_of(answer, world)[1] == 2
    brief = await open_conversation(world.runtime, world.attempt_id, 2)
    assert brief is not None
    assert "nobody took the call (no-answer)" in str(brief.tool_history[-1].result)
    await settle_attempt(world.runtime, world.attempt_id)
    facts = (await world.attempt()).facts
    assert (facts["transferred"], facts["transfer_failed"]) == (False, True)


async def test_asked_twice_at_once_it_is_taken_back_once(twilio: Twilio, world: World) -> None:
    await put_through(world)
    await stream_ended(twilio, world)
    answers = await asyncio.gather(
        *(dial_ended(twilio, world.attempt_id, "busy") for _ in range(6))
    )
    assert len({stream_of(answer, world) for answer in answers}) == 1
    assert (await world.attempt()).stream_no == 2


async def test_a_dial_in_vain_is_no_lost_stream(twilio: Twilio, world: World) -> None:
    await put_through(world)
    await dial_ended(twilio, world.attempt_id, "busy")
    resumes = world.runtime.settings.resumes
    for lost in range(2, 2 + resumes):
        assert await nobody_came(world, lost) == (lost == 2)  # then it says: interrupted
        await pod_tells(world, "stream_started", lost)
        await world.pods("pod-1", "pod-2", "pod-3", slots=9)
        path = f"/twilio/callback/stream-ended/{world.attempt_id}/{lost}"
        assert stream_of(await twilio.post(path), world)[1] == lost + 1
    path = f"/twilio/callback/stream-ended/{world.attempt_id}/{2 + resumes}"
    assert verbs(await twilio.post(path)) == ["Say", "Hangup"]


async def test_taken_back_and_ended_by_the_person_it_is_an_ordinary_call(
    twilio: Twilio, world: World
) -> None:
    await put_through(world)
    await dial_ended(twilio, world.attempt_id, "no-answer")
    for kind in ("stream_started", "conversation_closed"):
        await pod_tells(world, kind, 2, ended_by="person", human_turns=1)
    row = await over(twilio, world)
    assert (row.outcome, row.facts["transfer_status"]) == (Outcome.HUNG_UP, "no-answer")


async def test_without_a_pod_to_take_it_back_it_waits_and_the_lead_is_retried(
    twilio: Twilio, world: World
) -> None:
    await put_through(world)
    await stream_ended(twilio, world)
    for pod in ("pod-1", "pod-2"):
        await world.runtime.redis.zincrby(keys.SEEN, -600_000, pod)
    answer = await dial_ended(twilio, world.attempt_id, "busy")
    assert verbs(answer) == ["Say", "Pause", "Redirect"]
    row = await world.attempt()
    assert (row.plan, row.stream_no, row.pod) == ("conversation", 2, None)
    holds = 0
    while "Redirect" in verbs(answer):
        holds += 1
        again = (element(answer, "Redirect").text or "").removeprefix("https://outdial.test")
        answer = await twilio.post(again.partition("#")[0])
    assert (holds, verbs(answer)) == (world.runtime.settings.hold_times, ["Say", "Hangup"])
    assert (await over(twilio, world)).outcome == Outcome.TECHNICAL_FAILURE
    async with world.runtime.sessions() as session:
        lead = await session.get_one(Lead, world.lead_id)
    assert lead.state == "retry"


async def test_who_hangs_up_while_it_rings_there_has_hung_up(twilio: Twilio, world: World) -> None:
    await put_through(world)
    await stream_ended(twilio, world)
    assert (
        verbs(await dial_ended(twilio, world.attempt_id, "canceled", CallStatus="completed")) == []
    )
    assert (await over(twilio, world)).outcome == Outcome.HUNG_UP


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
