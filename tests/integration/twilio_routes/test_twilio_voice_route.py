"""Somebody picked up: they are connected, held or told goodbye, and never hear an error."""

import time
from uuid import uuid4

import pytest
from fastapi import FastAPI

from outdial.domain.phrases import phrases_for
from outdial.operations.gateway import open_gateway
from outdial.operations.route_answered_call import (
    Answered,
    assign_answered_pod,
    route_answered_call,
)
from outdial.operations.runtime import open_runtime
from outdial.routing.slot_reservation import Slot, holder
from outdial.routing.stream_token import verify
from outdial.telephony.callbacks import AnswerHint
from twilio_world import SID, Twilio, World, element, silent_server, verbs

pytestmark = pytest.mark.integration


async def test_the_call_is_connected_with_the_pod_that_is_prepared(
    twilio: Twilio, world: World
) -> None:
    await world.pods("pod-1", "pod-2")
    pod = await world.reserve()

    answer = await twilio.post(world.voice_path(pod=pod))

    assert verbs(answer) == ["Connect", "Redirect"]
    action = element(answer, "Connect").attrib["action"].partition("#")[0]
    path = f"twilio/callback/stream-ended/{world.attempt_id}/1"
    assert action == f"https://outdial.test/{path}"
    stream = element(answer, "Stream").attrib
    base, token = stream["url"].rsplit("/", 1)
    assert base == f"wss://outdial.test/pods/{pod}/ws/{world.template_id}"
    claims = verify(world.runtime.settings.stream_secret, token, time.time())
    assert (claims.attempt_id, claims.stream_no, claims.boot_id) == (world.attempt_id, 1, "b1")
    assert f"/stream-status/{world.attempt_id}" in stream["statusCallback"]
    parameters = {p.attrib["name"]: p.attrib["value"] for p in element(answer, "Stream")}
    assert parameters == {
        "lead_id": str(world.lead_id),
        "attempt_id": str(world.attempt_id),
        "stream_no": "1",
    }
    (event,) = await world.events()
    assert (event.source, event.kind, event.call_sid) == ("gateway", "answered", SID)
    assert event.payload == {"pod": pod, "stream_no": 1, "degraded": False}


async def test_asked_twice_it_names_the_same_pod(twilio: Twilio, world: World) -> None:
    await world.pods("pod-1", "pod-2", "pod-3")
    urls = {
        element(await twilio.post(world.voice_path(pod=pod)), "Stream")
        .attrib["url"]
        .split("/ws/")[0]
        for pod in ("pod-1", "pod-2", "pod-3")
    }
    assert len(urls) == 1
    assert len(await world.events()) == 1


async def test_a_pod_that_is_gone_is_replaced_and_the_row_says_so(
    twilio: Twilio, world: World
) -> None:
    await world.pods("pod-2")
    await world.change(pod="pod-1", boot_id="b1")
    answer = await twilio.post(world.voice_path(pod="pod-1"))
    assert "/pods/pod-2/" in element(answer, "Stream").attrib["url"]
    assert (await world.attempt()).pod == "pod-2"


async def test_what_is_written_late_does_not_undo_a_move(world: World) -> None:
    await world.change(stream_no=2, pod="pod-2", boot_id="b1")
    slot = Slot("pod-1", "b1", "wss://outdial.test/pods/pod-1")
    await assign_answered_pod(world.runtime, Answered("", world.attempt_id, SID, 1, slot))
    assert (await world.attempt()).pod == "pod-2"


async def test_no_room_is_a_short_hold_three_times_and_then_goodbye(
    twilio: Twilio, world: World
) -> None:
    await world.pods()
    for holds in range(3):
        answer = await twilio.post(world.voice_path(holds=holds))
        assert verbs(answer) == ["Say", "Pause", "Redirect"]
        assert int(element(answer, "Pause").attrib["length"]) <= 2
        again = (element(answer, "Redirect").text or "").removeprefix("https://outdial.test")
        assert again.partition("#")[0] == world.voice_path(holds=holds + 1)
    answer = await twilio.post(world.voice_path(holds=3))
    assert verbs(answer) == ["Say", "Hangup"]
    assert [event.kind for event in await world.events()] == ["held"] * 4


async def test_it_waits_and_is_told_goodbye_in_the_call_s_language(
    twilio: Twilio, world: World
) -> None:
    await world.pods()
    french = {"language": "fr-CA", "voice": "Polly.Chantal"}
    held = await twilio.post(world.voice_path(language="fr-CA"))
    told = await twilio.post(world.voice_path(holds=3, language="fr-CA"))
    for answer, text in ((held, "Un instant, s'il vous plaît."), (told, phrases_for("fr").unable)):
        say = element(answer, "Say")
        assert (say.attrib, say.text) == (french, text)
    again = (element(held, "Redirect").text or "").removeprefix("https://outdial.test")
    assert again.partition("#")[0] == world.voice_path(holds=1, language="fr-CA")
    # A stream that is lost asks in the same language.
    await world.pods("pod-1")
    connected = await twilio.post(world.voice_path(language="fr-CA"))
    assert "?lang=fr-CA#" in element(connected, "Connect").attrib["action"]


async def test_room_that_appears_during_the_hold_is_taken(twilio: Twilio, world: World) -> None:
    await world.pods()
    held = await twilio.post(world.voice_path())
    await world.pods("pod-1")
    again = (element(held, "Redirect").text or "").removeprefix("https://outdial.test")
    assert verbs(await twilio.post(again.partition("#")[0])) == ["Connect", "Redirect"]


async def test_a_call_on_hold_stands_on_no_pod(twilio: Twilio, world: World) -> None:
    await world.pods()
    await world.change(pod="pod-1", boot_id="b1")
    assert verbs(await twilio.post(world.voice_path())) == ["Say", "Pause", "Redirect"]
    assert (await world.attempt()).pod is None
    await world.pods("pod-2")
    assert verbs(await twilio.post(world.voice_path(holds=1))) == ["Connect", "Redirect"]
    assert (await world.attempt()).pod == "pod-2"


async def test_who_moved_a_call_during_its_hold_is_not_undone(world: World) -> None:
    await world.change(stream_no=2, pod="pod-2", boot_id="b1")
    late = Answered("", world.attempt_id, SID, 1, holds=0, left_pod="pod-1")
    await assign_answered_pod(world.runtime, late)
    same_pod = Answered("", world.attempt_id, SID, 1, holds=0, left_pod="pod-2")
    await assign_answered_pod(world.runtime, same_pod)
    assert (await world.attempt()).pod == "pod-2"


@pytest.mark.parametrize(
    "columns", [{"stop_reason": "opted_out"}, {"stop_reason": "canceled"}, {"plan": "hangup"}]
)
async def test_a_call_that_was_stopped_is_hung_up(
    twilio: Twilio, world: World, columns: dict[str, object]
) -> None:
    await world.pods("pod-1")
    await world.change(**columns)
    assert verbs(await twilio.post(world.voice_path())) == ["Hangup"]
    assert await holder(world.runtime.redis, world.attempt_id) is None


async def test_a_call_for_an_attempt_that_nobody_knows_is_hung_up_and_ended(
    twilio: Twilio, world: World
) -> None:
    await world.pods("pod-1")
    assert verbs(await twilio.post(world.voice_path(uuid4()))) == ["Hangup"]
    assert world.carrier.ended == [SID]
    assert await world.events() == []


async def test_another_call_than_the_attempts_own_is_a_zombie(twilio: Twilio, world: World) -> None:
    await world.pods("pod-1")
    other = "CA" + "2" * 32
    answer = await twilio.post(world.voice_path(), {"CallSid": other})
    assert verbs(answer) == ["Hangup"]
    assert world.carrier.ended == [other]


async def test_a_call_of_an_attempt_that_ended_unknown_is_a_zombie(
    twilio: Twilio, world: World
) -> None:
    await world.pods("pod-1")
    await world.end("unknown_expired", call_sid=None)
    assert verbs(await twilio.post(world.voice_path())) == ["Hangup"]
    assert world.carrier.ended == [SID]


async def test_the_first_request_binds_a_call_whose_post_was_never_answered(
    twilio: Twilio, world: World
) -> None:
    await world.pods("pod-1")
    await world.change(call_sid=None, state="dialing")
    assert verbs(await twilio.post(world.voice_path())) == ["Connect", "Redirect"]
    assert (await world.attempt()).call_sid == SID


@pytest.mark.parametrize("gone", [{"redis_url"}, {"database_url"}, {"redis_url", "database_url"}])
@pytest.mark.parametrize("frozen", [False, True], ids=["refused", "frozen"])
async def test_a_call_is_connected_without_stores(
    app: FastAPI, world: World, gone: set[str], frozen: bool
) -> None:
    await world.pods("pod-1", "pod-2")
    await app.state.gateway.router.refresh()
    hint = AnswerHint("pod-2", "b1", "wss://outdial.test/pods/pod-2", world.template_id)
    with silent_server() as silent:
        port = silent if frozen else 9
        away = {
            "redis_url": f"redis://127.0.0.1:{port}/0",
            "database_url": f"postgresql://x:y@127.0.0.1:{port}/x",
        }
        settings = world.runtime.settings.model_copy(update={name: away[name] for name in gone})
        async with open_runtime(settings) as runtime, open_gateway(runtime) as gateway:
            gateway.router.pods = app.state.gateway.router.pods
            started = time.monotonic()
            answered = await route_answered_call(gateway, world.attempt_id, SID, hint)
            assert time.monotonic() - started < 1.2  # Twilio's patience is 1.5 s
    assert answered.degraded
    assert answered.slot is not None
    assert "redis_url" not in gone or answered.slot.pod_id == "pod-2"
    assert "<Stream" in answered.twiml


async def test_a_gateway_that_has_seen_no_pod_believes_the_url(
    app: FastAPI, twilio: Twilio, world: World
) -> None:
    app.state.gateway.router.pods = ()
    path = world.voice_path(pod="pod-7").replace("voice", "callback/twiml-fallback")
    answer = await twilio.post(path, {"ErrorCode": "11200", "ErrorUrl": "https://outdial.test/x"})
    assert "/pods/pod-7/ws/" in element(answer, "Stream").attrib["url"]
    kinds = {event.kind: event.payload for event in await world.events()}
    assert kinds["fallback"]["ErrorCode"] == "11200"
    assert kinds["answered"]["degraded"] is True
