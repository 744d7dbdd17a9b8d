"""What Twilio tells is stored once and acknowledged; what should not be going on is ended."""

from uuid import uuid4

import pytest
from fastapi import FastAPI

from outdial.operations.runtime import open_runtime
from outdial.storage import recordings
from twilio_world import SID, Twilio, World, swap

pytestmark = pytest.mark.integration


def status(call_status: str, number: int, **form: str) -> dict[str, str]:
    return {
        "CallStatus": call_status,
        "SequenceNumber": str(number),
        "Timestamp": "Sun, 01 Mar 2026 11:59:58 +0000",
        **form,
    }


async def test_a_step_of_the_call_is_stored_as_it_came(twilio: Twilio, world: World) -> None:
    path = f"/twilio/callback/status/{world.attempt_id}"
    answer = await twilio.post(path, status("ringing", 1, CalledCity="", ToState=""))
    assert (answer.status_code, answer.content) == (204, b"")
    (event,) = await world.events()
    assert (event.source, event.kind, event.dedupe_key) == ("carrier", "status", f"{SID}:1")
    assert event.payload["CalledCity"] == ""
    assert world.carrier.ended == []


async def test_what_cannot_be_stored_is_left_out(twilio: Twilio, world: World) -> None:
    path = f"/twilio/callback/status/{world.attempt_id}"
    form = status("ringing", 1, CallerName="Bo\0b \N{GRINNING FACE}")
    assert (await twilio.post(path, form)).status_code == 204
    (event,) = await world.events()
    assert event.payload["CallerName"] == "Bob \N{GRINNING FACE}"


async def test_told_twice_it_is_stored_once(twilio: Twilio, world: World) -> None:
    path = f"/twilio/callback/status/{world.attempt_id}"
    for _ in range(3):
        assert (await twilio.post(path, status("ringing", 1))).status_code == 204
    assert len(await world.events()) == 1


async def test_the_first_callback_binds_the_call(twilio: Twilio, world: World) -> None:
    await world.change(call_sid=None, state="dialing")
    path = f"/twilio/callback/status/{world.attempt_id}"
    await twilio.post(path, status("initiated", 0))
    assert (await world.attempt()).call_sid == SID
    assert world.carrier.ended == []


async def test_nobodys_callback_is_acknowledged_and_its_call_ended(
    twilio: Twilio, world: World
) -> None:
    for route in ("status", "stream-status", "amd", "details"):
        path = f"/twilio/callback/{route}/{uuid4()}"
        assert (await twilio.post(path, status("ringing", 1))).status_code == 204
    assert await world.events() == []
    assert world.carrier.ended == [SID] * 4


async def test_nobodys_call_that_is_over_is_left_alone(twilio: Twilio, world: World) -> None:
    path = f"/twilio/callback/status/{uuid4()}"
    assert (await twilio.post(path, status("completed", 3))).status_code == 204
    assert world.carrier.ended == []


async def test_another_call_that_names_the_attempt_is_stored_and_ended(
    twilio: Twilio, world: World
) -> None:
    other = "CA" + "2" * 32
    path = f"/twilio/callback/status/{world.attempt_id}"
    await twilio.post(path, status("in-progress", 2, CallSid=other))
    assert [event.call_sid for event in await world.events()] == [other]
    assert world.carrier.ended == [other]
    assert (await world.attempt()).call_sid == SID


async def test_a_late_callback_of_a_call_that_ended_is_stored_and_no_more(
    twilio: Twilio, world: World
) -> None:
    await world.end("carrier")
    path = f"/twilio/callback/status/{world.attempt_id}"
    assert (await twilio.post(path, status("ringing", 1))).status_code == 204
    assert len(await world.events()) == 1
    assert world.carrier.ended == []


async def test_a_call_that_comes_up_after_we_gave_it_up_is_ended(
    twilio: Twilio, world: World
) -> None:
    await world.end("unknown_expired", call_sid=None)
    path = f"/twilio/callback/status/{world.attempt_id}"
    await twilio.post(path, status("ringing", 1))
    assert world.carrier.ended == [SID]


async def test_a_queued_attempt_has_no_call(twilio: Twilio, world: World) -> None:
    await world.change(state="queued", call_sid=None, intent_at=None)
    await twilio.post(f"/twilio/callback/status/{world.attempt_id}", status("ringing", 1))
    assert world.carrier.ended == [SID]


async def test_without_postgres_twilio_is_asked_to_come_again(
    app: FastAPI, twilio: Twilio, world: World
) -> None:
    update = {"database_url": "postgresql://x:y@127.0.0.1:9/x"}
    async with open_runtime(world.runtime.settings.model_copy(update=update)) as away:
        swap(app, sessions=away.sessions)
        for route in ("status", "stream-status", "amd", "details"):
            path = f"/twilio/callback/{route}/{world.attempt_id}"
            assert (await twilio.post(path, status("ringing", 1))).status_code == 503
    assert await world.events() == []


async def test_without_redis_callbacks_are_stored(
    app: FastAPI, twilio: Twilio, world: World
) -> None:
    update = {"redis_url": "redis://127.0.0.1:9/0"}
    async with open_runtime(world.runtime.settings.model_copy(update=update)) as away:
        swap(app, redis=away.redis)
        path = f"/twilio/callback/status/{world.attempt_id}"
        assert (await twilio.post(path, status("ringing", 1))).status_code == 204
    assert len(await world.events()) == 1


async def test_a_recording_gets_its_row(twilio: Twilio, world: World) -> None:
    form = {
        "RecordingSid": "RE1",
        "RecordingStatus": "completed",
        "RecordingUrl": "https://api.twilio.com/r/RE1",
        "RecordingDuration": "31",
        "RecordingChannels": "2",
        "RecordingStartTime": "Sun, 01 Mar 2026 11:59:58 +0000",
    }
    path = f"/twilio/callback/details/{world.attempt_id}"
    for _ in range(2):
        assert (await twilio.post(path, form)).status_code == 204
    async with world.runtime.sessions() as session:
        (row,) = await recordings.of_attempt(session, world.attempt_id)
    assert (row.url, row.status, row.channels, row.duration_seconds) == (
        "https://api.twilio.com/r/RE1",
        "completed",
        2,
        31,
    )
    assert [event.kind for event in await world.events()] == ["recording"]


async def test_an_absent_recording_is_a_fact_without_a_row(twilio: Twilio, world: World) -> None:
    path = f"/twilio/callback/details/{world.attempt_id}"
    form = {"RecordingSid": "RE1", "RecordingStatus": "absent"}
    assert (await twilio.post(path, form)).status_code == 204
    async with world.runtime.sessions() as session:
        assert await recordings.of_attempt(session, world.attempt_id) == []
    assert len(await world.events()) == 1
