"""What the gateway counts for whoever scales the pods."""

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from twilio_world import Twilio, World

pytestmark = pytest.mark.integration


async def numbers(app: FastAPI) -> dict[tuple[str, ...], float]:
    """Samples of `/metrics`: the name and the labels' values → value."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        text = (await client.get("/metrics")).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_answers_holds_resumes_and_the_fleet_are_counted(
    app: FastAPI, twilio: Twilio, world: World
) -> None:
    before = await numbers(app)

    async def added(*name: str) -> float:
        return (await numbers(app)).get(name, 0) - before.get(name, 0)

    await world.pods()
    await twilio.post(world.voice_path())
    await twilio.post(world.voice_path(holds=1))
    await world.pods("pod-2", slots=3)
    await twilio.post(world.voice_path(pod="pod-1"))
    assert await added("outdial_answers_total", "voice", "held") == 1
    assert await added("outdial_answers_total", "voice", "held_again") == 1
    assert await added("outdial_answers_total", "voice", "connected") == 1
    assert await added("outdial_calls_reassigned_total") == 1
    assert await added("outdial_answer_seconds_count", "voice") == 3

    await world.change(state="in_progress")
    await world.pods("pod-3", slots=3)
    path = f"/twilio/callback/stream-ended/{world.attempt_id}/1"
    await twilio.post(path, {"CallStatus": "in-progress"})
    assert await added("outdial_calls_moved_total", "resumed", "stream_lost") == 1

    await app.state.gateway.router.refresh()
    now = await numbers(app)
    assert now["outdial_pods", "ready"] == 2
    assert now["outdial_slots", "all"] == 6
    assert now["outdial_slots", "free"] + now["outdial_slots", "reserved"] == 6
    assert now["outdial_slots", "reserved"] >= 1
