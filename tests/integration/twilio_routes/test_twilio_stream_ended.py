"""A media stream ended: every case of PROTOCOL.md 9."""

import asyncio
import time
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from outdial.operations.runtime import open_runtime
from outdial.routing.stream_token import verify
from twilio_world import SID, Twilio, World, element, swap, verbs

pytestmark = pytest.mark.integration


@pytest.fixture
async def talking(world: World) -> World:
    """The call is talked to on pod-1, and pod-2 has room."""
    await world.pods("pod-1", "pod-2")
    assert await world.reserve() == "pod-1"
    await world.change(state="in_progress")
    return world


async def ended(
    twilio: Twilio, world: World, stream_no: int = 1, status: str = "in-progress"
) -> httpx.Response:
    path = f"/twilio/callback/stream-ended/{world.attempt_id}/{stream_no}"
    return await twilio.post(path, {"CallStatus": status})


def stream_of(answer: httpx.Response, world: World) -> tuple[str, int]:
    """Pod and stream number that the TwiML connects with."""
    url = element(answer, "Stream").attrib["url"]
    claims = verify(world.runtime.settings.stream_secret, url.rsplit("/", 1)[1], time.time())
    return url.split("/pods/")[1].split("/")[0], claims.stream_no


async def test_a_call_that_is_over_needs_nothing(twilio: Twilio, talking: World) -> None:
    answer = await ended(twilio, talking, status="completed")
    assert verbs(answer) == []
    assert (await talking.attempt()).stream_no == 1
    (event,) = await talking.events()
    assert (event.kind, event.dedupe_key) == ("ended", f"{SID}:1")


async def test_a_conversation_that_nobody_closed_goes_on_at_another_pod(
    twilio: Twilio, talking: World
) -> None:
    answer = await ended(twilio, talking)
    assert stream_of(answer, talking) == ("pod-2", 2)
    assert "/stream-ended/" in element(answer, "Connect").attrib["action"]
    assert element(answer, "Connect").attrib["action"].partition("#")[0].endswith("/2")
    row = await talking.attempt()
    assert (row.stream_no, row.pod, row.plan) == (2, "pod-2", "conversation")


async def test_asked_twice_at_once_the_call_is_moved_once(twilio: Twilio, talking: World) -> None:
    answers = await asyncio.gather(*(ended(twilio, talking) for _ in range(6)))
    assert {stream_of(answer, talking) for answer in answers} == {("pod-2", 2)}
    assert (await talking.attempt()).stream_no == 2


async def test_an_old_streams_end_gets_the_current_streams_twiml(
    twilio: Twilio, talking: World
) -> None:
    await ended(twilio, talking)
    assert stream_of(await ended(twilio, talking, stream_no=1), talking) == ("pod-2", 2)
    assert (await talking.attempt()).stream_no == 2


async def test_a_call_is_moved_twice_and_then_let_go_with_a_goodbye(
    twilio: Twilio, talking: World
) -> None:
    assert stream_of(await ended(twilio, talking, 1), talking) == ("pod-2", 2)
    await talking.pods("pod-1")  # it lives: only a stream was lost
    assert stream_of(await ended(twilio, talking, 2), talking) == ("pod-1", 3)
    assert verbs(await ended(twilio, talking, 3)) == ["Say", "Hangup"]
    row = await talking.attempt()
    assert (row.stream_no, row.plan) == (3, "hangup")
    assert verbs(await ended(twilio, talking, 3)) == ["Hangup"]


async def test_two_pods_that_die_at_once_cost_no_call(twilio: Twilio, talking: World) -> None:
    answer = await ended(twilio, talking)
    assert stream_of(answer, talking) == ("pod-2", 2)
    # pod-2 is dead too, and refuses the socket: the next verb asks again. By what was heard so far
    # pod-1 would have room.
    await talking.pods("pod-3")
    refused = (element(answer, "Redirect").text or "").removeprefix("https://outdial.test")
    again = await twilio.post(refused.partition("#")[0], {"CallStatus": "in-progress"})
    assert stream_of(again, talking) == ("pod-3", 3)


async def test_without_another_pod_the_caller_waits_and_then_it_goes_on(
    twilio: Twilio, world: World
) -> None:
    await world.pods("pod-1")
    await world.reserve()
    answer = await ended(twilio, world)
    assert verbs(answer) == ["Say", "Pause", "Redirect"]
    row = await world.attempt()
    assert (row.stream_no, row.pod, row.boot_id) == (2, None, None)
    await world.pods("pod-2")
    again = (element(answer, "Redirect").text or "").removeprefix("https://outdial.test")
    resumed = await twilio.post(again.partition("#")[0])
    assert stream_of(resumed, world)[1] == 2
    assert (await world.attempt()).pod == "pod-2"


@pytest.mark.parametrize("columns", [{"plan": "hangup"}, {"stop_reason": "opted_out"}])
async def test_a_stream_closed_on_purpose_ends_the_call(
    twilio: Twilio, talking: World, columns: dict[str, object]
) -> None:
    await talking.change(**columns)
    assert verbs(await ended(twilio, talking)) == ["Hangup"]
    assert (await talking.attempt()).stream_no == 1
    assert talking.carrier.ended == []


async def test_the_pods_last_word_is_enough(twilio: Twilio, talking: World) -> None:
    await talking.pod_says("conversation_closed", stream_no=1, ended_by="agent")
    assert verbs(await ended(twilio, talking)) == ["Hangup"]
    assert (await talking.attempt()).stream_no == 1


async def test_the_last_word_on_an_earlier_stream_is_not(twilio: Twilio, talking: World) -> None:
    await talking.pod_says("conversation_closed", stream_no=1, ended_by="system")
    await talking.change(stream_no=2)
    assert stream_of(await ended(twilio, talking, 2), talking)[1] == 3


async def test_a_message_that_the_pod_did_not_finish_is_spoken_by_the_carrier(
    twilio: Twilio, talking: World
) -> None:
    await talking.change(plan="voicemail")
    answer = await ended(twilio, talking)
    assert verbs(answer) == ["Say", "Redirect"]
    assert element(answer, "Say").text == "Hello Bo & family, call us back."


async def test_a_message_is_never_left_twice(twilio: Twilio, talking: World) -> None:
    await talking.change(plan="voicemail")
    await talking.pod_says("voicemail_left")
    assert verbs(await ended(twilio, talking)) == ["Hangup"]


async def test_nobodys_stream_and_another_calls_are_hung_up(twilio: Twilio, talking: World) -> None:
    nobody = f"/twilio/callback/stream-ended/{uuid4()}/1"
    assert verbs(await twilio.post(nobody)) == ["Hangup"]
    other = {"CallSid": "CA" + "2" * 32}
    path = f"/twilio/callback/stream-ended/{talking.attempt_id}/1"
    assert verbs(await twilio.post(path, other)) == ["Hangup"]
    assert set(talking.carrier.ended) == {SID, other["CallSid"]}
    assert (await talking.attempt()).stream_no == 1


async def test_without_redis_the_last_view_names_another_pod(
    app: FastAPI, twilio: Twilio, talking: World
) -> None:
    await app.state.gateway.router.refresh()
    update = {"redis_url": "redis://127.0.0.1:9/0"}
    async with open_runtime(talking.runtime.settings.model_copy(update=update)) as away:
        swap(app, redis=away.redis)
        assert stream_of(await ended(twilio, talking), talking) == ("pod-2", 2)
