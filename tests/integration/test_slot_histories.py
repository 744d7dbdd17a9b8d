"""Any history of reserving, answering, hanging up, draining and restarting keeps slots right."""

import asyncio
import random
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from outdial.routing.pod_registry import Heartbeat, PodState, beat, list_pods
from outdial.routing.slot_reservation import (
    NoRoom,
    Slot,
    all_holders,
    free_slots,
    holder,
    rebuild,
    release,
    reserve,
)
from outdial.settings import Settings

pytestmark = pytest.mark.integration

SLOTS = {"a": 1, "b": 2, "c": 3}
ATTEMPTS = [UUID(int=n) for n in range(9)]

attempt = st.sampled_from(ATTEMPTS)
pod = st.sampled_from(sorted(SLOTS))
step = st.one_of(
    st.tuples(st.just("reserve"), attempt),
    st.tuples(st.just("answer"), attempt),
    st.tuples(st.just("settle"), attempt),
    st.tuples(st.just("lose"), attempt),
    st.tuples(st.just("restart"), pod),
    st.tuples(st.just("drain"), pod),
    st.tuples(st.just("ready"), pod),
)


@dataclass
class ModelPod:
    """A pod as it knows itself."""

    name: str
    boot: int = 0
    state: PodState = "ready"
    live: set[UUID] = field(default_factory=set)


class History:
    """Carries out steps on real Redis, and knows what must hold after each."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.pods = {name: ModelPod(name) for name in SLOTS}
        self.settings = Settings(_env_file=None)

    async def begin(self) -> None:
        await self.redis.flushall()
        await rebuild(self.redis, [])
        for name in SLOTS:
            await self.beat(name)

    async def beat(self, name: str) -> None:
        said = self.pods[name]
        heartbeat = Heartbeat(
            name, str(said.boot), f"wss://x/{name}", SLOTS[name], said.state, live=[*said.live]
        )
        reserved = (await beat(self.redis, heartbeat, self.settings)).reserved
        assert not said.live & set(reserved)

    async def reserve(self, attempt_id: UUID) -> None:
        before = await free_slots(self.redis)
        found = await reserve(self.redis, attempt_id, 60)
        if isinstance(found, NoRoom):
            assert before == 0
            return
        assert isinstance(found, Slot)
        where = self.pods[found.pod_id]
        assert found.boot_id == str(where.boot)
        assert where.state == "ready" or attempt_id in where.live
        assert await reserve(self.redis, attempt_id, 60) == found
        assert await holder(self.redis, attempt_id) == found

    async def answer(self, attempt_id: UUID) -> None:
        """The pod that holds the slot begins to speak."""
        slot = await holder(self.redis, attempt_id)
        if slot is not None and not any(attempt_id in p.live for p in self.pods.values()):
            self.pods[slot.pod_id].live.add(attempt_id)
            await self.beat(slot.pod_id)

    async def settle(self, attempt_id: UUID) -> None:
        """The call is over: its pod says so, and the slot is released."""
        for name, where in self.pods.items():
            if attempt_id in where.live:
                where.live.discard(attempt_id)
                await self.beat(name)
        await release(self.redis, attempt_id)

    async def lose(self, attempt_id: UUID) -> None:
        """Its stream broke: it goes anywhere but there."""
        slot = await holder(self.redis, attempt_id)
        if slot is None:
            return
        lost = (slot.pod_id, slot.boot_id)
        self.pods[slot.pod_id].live.discard(attempt_id)
        found = await reserve(self.redis, attempt_id, 60, avoid=lost)
        assert not isinstance(found, Slot) or (found.pod_id, found.boot_id) != lost
        await self.beat(slot.pod_id)

    async def restart(self, name: str) -> None:
        self.pods[name] = ModelPod(name, self.pods[name].boot + 1)
        await self.beat(name)

    async def drain(self, name: str) -> None:
        self.pods[name].state = "draining"
        await self.beat(name)

    async def ready(self, name: str) -> None:
        self.pods[name].state = "ready"
        await self.beat(name)

    async def check(self) -> None:
        views = await list_pods(self.redis)
        assert all(view.used <= view.slots for view in views)
        assert {v.pod_id: v.live for v in views} == {n: len(p.live) for n, p in self.pods.items()}
        room = sum(v.slots - v.used for v in views if v.state == "ready")
        assert await free_slots(self.redis) == room
        assert sum(v.reserved for v in views) <= len(await all_holders(self.redis))


async def tell(redis_url: str, steps: list[tuple[str, object]]) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        history = History(redis)
        await history.begin()
        for name, what in steps:
            await getattr(history, name)(what)
            await history.check()
        for attempt_id in ATTEMPTS:
            await history.settle(attempt_id)
        assert await all_holders(redis) == {}
        assert all(view.used == 0 for view in await list_pods(redis))


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(step, max_size=30))
def test_any_history_keeps_the_slots_right(redis_url: str, steps: list[tuple[str, object]]) -> None:
    asyncio.run(tell(redis_url, steps))


@pytest.mark.parametrize("seed", range(5))
async def test_hundreds_of_calls_at_once_on_pods_that_come_and_go(
    redis_url: str, seed: int
) -> None:
    rng = random.Random(seed)
    settings = Settings(_env_file=None)
    async with Redis.from_url(redis_url, decode_responses=True, max_connections=1000) as redis:
        await rebuild(redis, [])
        over: list[str] = []

        async def pod_beats(name: str) -> None:
            for turn in range(20):
                boot = str(turn // 7)  # it restarts twice
                await beat(redis, Heartbeat(name, boot, f"wss://x/{name}", SLOTS[name]), settings)
                over.extend(v.pod_id for v in await list_pods(redis) if v.used > v.slots)

        async def call(number: int) -> None:
            attempt_id = UUID(int=number)
            for _ in range(rng.randrange(1, 4)):
                await reserve(redis, attempt_id, 60)
            if rng.random() < 0.7:
                await release(redis, attempt_id)

        await asyncio.gather(*map(pod_beats, SLOTS), *(call(n) for n in range(200)))
        assert over == []
        for number in range(200):
            await release(redis, UUID(int=number))
        assert all(view.used == 0 for view in await list_pods(redis))
        assert await all_holders(redis) == {}
