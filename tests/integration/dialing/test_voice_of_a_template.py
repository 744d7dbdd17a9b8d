"""A template names a service that a pod may not have: nobody is rung for nothing."""

from typing import Any

import pytest

from dialing_world import World
from outdial.operations.check_campaign import check_campaign
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.storage.tables import Campaign, Lead
from outdial_media.foreign_services import ForeignServices
from outdial_media.voice_check import VoiceCheck

pytestmark = pytest.mark.integration

MISSING = {"tts": {"service": "hume", "settings": {"voice": "x"}}}  # its extra is never installed
THERE = {"llm": {"service": "openai", "settings": {"model": "gpt-4.1"}}}
KEYS = {"OUTDIAL_VOICE_SECRET_OPENAI": "sk-1"}


async def a_lead(world: World, voice: dict[str, Any]) -> Lead:
    world.template_id = await world.add_template(slug="spoken", voice=voice)
    await world.set_campaign(template_id=world.template_id)
    return await world.add_lead()


async def beat_with(world: World, labels: dict[str, str], boot: str = "boot-1") -> None:
    url = "wss://outdial.test/pods/pod-1"
    said = Heartbeat("pod-1", boot, url, 10, labels=labels)
    await beat(world.runtime.redis, said, world.runtime.settings)


async def labels_of(world: World, keys: dict[str, str]) -> dict[str, str]:
    check = VoiceCheck(world.runtime, ForeignServices(keys))
    await check.look()
    await check.look()  # what was seen is not looked at again
    return check.labels


async def warnings(world: World) -> str:
    async with world.runtime.sessions() as session:
        campaign = await session.get_one(Campaign, world.campaign_id)
    return " ".join((await check_campaign(world.runtime, campaign)).warnings)


async def test_without_the_extra_nobody_is_rung_and_the_lead_says_why(world: World) -> None:
    lead = await a_lead(world, MISSING)
    labels = await labels_of(world, KEYS)
    await beat_with(world, labels)
    assert (await world.dispatch()).refused == {"no_voice_service": 1}
    waiting = await world.lead(lead.id)
    assert (waiting.state, waiting.refusal) == ("backlog", "no_voice_service")
    assert (await world.attempts_of(lead), world.carrier.posts) == ([], [])
    assert 'pip install "pipecat-ai[hume]"' in " ".join(labels.values())
    told = await warnings(world)
    assert "spoken v1: pod-1: voice.tts: hume is not installed here" in told


async def test_a_key_that_is_not_set_is_told_and_once_it_is_the_lead_is_called(
    world: World,
) -> None:
    lead = await a_lead(world, THERE)
    await beat_with(world, await labels_of(world, {}))
    assert (await world.dispatch()).refused == {"no_voice_service": 1}
    await beat_with(world, await labels_of(world, KEYS), "boot-2")
    assert "Nobody is called" not in await warnings(world)
    await world.make_due(lead)
    attempt = await world.dial(lead)
    assert (attempt.pod, len(world.carrier.posts)) == ("pod-1", 1)


async def test_a_pod_that_comes_back_without_it_is_not_rung_for(world: World) -> None:
    lead = await a_lead(world, THERE)
    await beat_with(world, await labels_of(world, KEYS))
    attempt = await world.claim(lead)
    await beat_with(world, {}, "boot-2")
    await world.place(attempt.id)
    assert world.carrier.posts == []
    ended = await world.attempt(attempt.id)
    assert (ended.state, ended.spent) == ("ended", False)
