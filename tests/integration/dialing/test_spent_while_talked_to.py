"""A call that the carrier's list never shows, and that a pod speaks on, is not counted as over."""

from dataclasses import replace

import pytest

from dialing_world import World, pod
from outdial.operations.reconcile_unknown_attempts import reconcile_unknown_attempts
from outdial.operations.run_sweeps import run_sweeps
from outdial.operations.runtime import open_runtime
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.storage.tables import Attempt
from outdial.telephony.dial_result import DialResult, OutcomeUnknown
from outdial.telephony.twilio_client import PlaceCall

pytestmark = pytest.mark.integration


async def lost(_call: PlaceCall, _sid: str) -> DialResult:
    return OutcomeUnknown("read timeout")


@pytest.fixture
async def unfound(world: World) -> Attempt:
    """A call of which only its pod has told, ten minutes ago; the carrier lists nothing."""
    attempt = await world.claim(await world.add_lead())
    world.carrier.on_post = lost
    await world.place(attempt.id)
    world.carrier.known.clear()
    await world.hear(attempt.id, pod("stream_started", stream_no=1))
    await world.age(attempt.id, 700)
    found = await world.attempt(attempt.id)
    assert (found.state, found.call_sid) == ("in_progress", None)
    return found


async def beats(world: World, *live: Attempt) -> None:
    url = "wss://outdial.test/pods/pod-1"
    heartbeat = Heartbeat("pod-1", world.boot_id, url, 100, live=[one.id for one in live])
    await beat(world.runtime.redis, heartbeat, world.runtime.settings)


async def test_it_is_spared_while_a_pod_speaks_and_no_longer(
    world: World, unfound: Attempt
) -> None:
    await beats(world, unfound)
    assert await reconcile_unknown_attempts(world.runtime) == 0
    await world.age(unfound.id, 10)
    assert (await world.attempt(unfound.id)).state == "in_progress"
    assert (await world.dispatch()).claimed == []  # nobody dials the number beside it
    await beats(world)  # the pod has let go of it
    assert await reconcile_unknown_attempts(world.runtime) == 1
    ended = await world.attempt(unfound.id)
    assert (ended.state, ended.end_reason, ended.spent) == ("ended", "unknown_expired", True)


async def test_it_is_spared_while_nobody_knows_who_speaks(world: World, unfound: Attempt) -> None:
    await world.runtime.redis.flushall()  # emptied: pods have not been heard yet
    assert await reconcile_unknown_attempts(world.runtime) == 0
    await world.age(unfound.id, 10)
    nowhere = world.runtime.settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    async with open_runtime(nowhere) as away:
        without = replace(world.runtime, redis=away.redis)
        assert await reconcile_unknown_attempts(without) == 0
    await world.age(unfound.id, 10)
    assert (await world.attempt(unfound.id)).state == "in_progress"
    # Rebuilt and heard, it is known that nobody does.
    await run_sweeps(world.runtime)
    await beats(world)
    await world.age(unfound.id, 10)
    await run_sweeps(world.runtime)
    assert (await world.attempt(unfound.id)).state == "ended"
