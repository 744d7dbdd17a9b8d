"""Who is not Twilio gets 403 and changes nothing."""

import pytest
from fastapi import FastAPI

from twilio_world import SID, Twilio, World

pytestmark = pytest.mark.integration

ROUTES = [
    "/twilio/voice/{id}?template={id}&pod=pod-1",
    "/twilio/callback/twiml-fallback/{id}?template={id}",
    "/twilio/callback/status/{id}",
    "/twilio/callback/stream-status/{id}",
    "/twilio/callback/amd/{id}",
    "/twilio/callback/details/{id}",
    "/twilio/callback/stream-ended/{id}/1",
    "/twilio/callback/voicemail-spoken/{id}",
    "/twilio/callback/transfer-ended/{id}",
    "/twilio/callback/transfer-whisper/{id}",
]
FORM = {"AnsweredBy": "machine_start", "RecordingSid": "RE1", "RecordingUrl": "https://a/r"}


@pytest.mark.parametrize("route", ROUTES)
async def test_unsigned_and_wrongly_signed_requests_change_nothing(
    route: str, twilio: Twilio, world: World
) -> None:
    await world.pods("pod-1")
    before = (await world.attempt()).__dict__.copy()
    path = route.format(id=world.attempt_id)
    for signature in (None, "", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="):
        assert (await twilio.post(path, FORM, signature=signature)).status_code == 403
    elsewhere = await twilio.post(path, FORM, signed_for="http://internal:8000")
    assert elsewhere.status_code == 403  # the address of Host is not the public one
    after = (await world.attempt()).__dict__
    assert {k: v for k, v in after.items() if k[0] != "_"} == {
        k: v for k, v in before.items() if k[0] != "_"
    }
    assert await world.events() == []
    assert world.carrier.ended == []


async def test_a_form_that_was_changed_on_its_way_is_refused(twilio: Twilio, world: World) -> None:
    path = f"/twilio/callback/status/{world.attempt_id}"
    signed = await twilio.post(path, {"CallStatus": "ringing", "SequenceNumber": "1"})
    assert signed.status_code == 204
    signature = str(signed.request.headers["X-Twilio-Signature"])
    changed = {"CallStatus": "completed", "SequenceNumber": "2"}
    assert (await twilio.post(path, changed, signature=signature)).status_code == 403
    assert len(await world.events()) == 1


async def test_the_query_is_part_of_what_is_signed(twilio: Twilio, world: World) -> None:
    signed = await twilio.post(world.voice_path())
    signature = str(signed.request.headers["X-Twilio-Signature"])
    moved = world.voice_path().replace("outdial.test", "evil.test")
    assert (await twilio.post(moved, signature=signature)).status_code == 403


async def test_the_fallback_may_live_at_a_host_of_its_own(
    app: FastAPI, twilio: Twilio, world: World
) -> None:
    runtime = app.state.runtime
    settings = runtime.settings.model_copy(update={"fallback_url": "https://second.test"})
    object.__setattr__(runtime, "settings", settings)
    path = f"/twilio/callback/twiml-fallback/{world.attempt_id}?template={world.template_id}"
    answer = await twilio.post(path, {"CallSid": SID}, signed_for="https://second.test")
    assert answer.status_code == 200


async def test_a_form_of_monstrous_size_is_refused(twilio: Twilio, world: World) -> None:
    path = f"/twilio/callback/status/{world.attempt_id}"
    assert (await twilio.post(path, {"Filler": "x" * 70_000})).status_code == 413
    many = {f"F{n}": "" for n in range(600)}
    assert (await twilio.post(path, many)).status_code == 403
    assert await world.events() == []
