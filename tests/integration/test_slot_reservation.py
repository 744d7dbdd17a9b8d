"""Slots in a real Redis: never more than there are, one for each attempt, none left behind."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from outdial.domain.call_template import Pods
from outdial.routing import keys
from outdial.routing.pod_registry import Heartbeat, ask_to_drain, beat, list_pods
from outdial.routing.slot_reservation import (
    Held,
    NoRoom,
    NotReady,
    Slot,
    all_holders,
    extend,
    free_slots,
    holder,
    rebuild,
    release,
    reserve,
)
from outdial.settings import Settings
from polling import until

pytestmark = pytest.mark.integration


@pytest.fixture
def settings() -> Settings:
    """Only times are read from them here."""
    return Settings(_env_file=None)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    pool = BlockingConnectionPool.from_url(redis_url, decode_responses=True, max_connections=50)
    client = Redis.from_pool(pool)
    await rebuild(client, [])
    yield client
    await client.aclose()


def pod(name: str, slots: int = 2, boot: str = "b1", **said: object) -> Heartbeat:
    return Heartbeat(name, boot, f"wss://outdial.test/pods/{name}", slots, **said)  # type: ignore[arg-type]


async def outlive(redis: Redis, name: str, settings: Settings) -> None:
    """Let a pod have been silent for just too long."""
    age = settings.pod_out_after_seconds * 1000 + 1000
    await redis.zincrby(keys.SEEN, -age, name)


async def test_hundreds_at_once_never_take_more_than_there_is(
    redis: Redis, settings: Settings
) -> None:
    sizes = {f"pod-{n}": n for n in range(1, 11)}
    for name, slots in sizes.items():
        await beat(redis, pod(name, slots), settings)
    attempts = [uuid4() for _ in range(300)]

    found = await asyncio.gather(*(reserve(redis, a, 30) for a in attempts for _ in range(2)))

    first, second = found[::2], found[1::2]
    assert first == second  # one attempt, one slot, however often it asks
    taken = Counter(slot.pod_id for slot in first if isinstance(slot, Slot))
    assert taken == sizes  # every slot is used, none twice
    assert sum(isinstance(slot, NoRoom) for slot in first) == 300 - sum(sizes.values())
    assert await free_slots(redis) == 0


async def test_slots_come_and_go_at_once_and_the_count_holds(
    redis: Redis, settings: Settings
) -> None:
    await beat(redis, pod("pod-1", 3), settings)
    await beat(redis, pod("pod-2", 5), settings)
    most = 0

    async def call() -> bool:
        nonlocal most
        attempt = uuid4()
        slot = await reserve(redis, attempt, 30)
        if not isinstance(slot, Slot):
            return False
        views = await list_pods(redis)
        most = max(most, sum(view.used for view in views))
        assert all(view.used <= view.slots for view in views)
        return await release(redis, attempt)

    placed = await asyncio.gather(*(call() for _ in range(400)))

    assert any(placed)
    assert most <= 8
    assert await free_slots(redis) == 8
    assert await all_holders(redis) == {}


async def test_the_least_loaded_pod_is_taken(redis: Redis, settings: Settings) -> None:
    await beat(redis, pod("big", 10), settings)
    await beat(redis, pod("small", 2), settings)
    taken = [await reserve(redis, uuid4(), 30) for _ in range(6)]
    counts = Counter(slot.pod_id for slot in taken if isinstance(slot, Slot))
    assert counts == {"big": 5, "small": 1}


async def test_a_lease_that_ran_out_makes_room(redis: Redis, settings: Settings) -> None:
    await beat(redis, pod("pod-1", 1), settings)
    first, second = uuid4(), uuid4()
    assert isinstance(await reserve(redis, first, 0.05), Slot)
    assert await reserve(redis, second, 30) == NoRoom()

    await until(lambda: free_slots(redis), 5, "the lease ends by Redis's clock")
    assert isinstance(await reserve(redis, second, 30), Slot)
    assert await holder(redis, first) is None


async def test_ringing_extends_only_what_stands(redis: Redis, settings: Settings) -> None:
    await beat(redis, pod("pod-1", 1), settings)
    attempt = uuid4()
    await reserve(redis, attempt, 30)
    key = f"{keys.POD_PREFIX}pod-1:reserved"
    assert await extend(redis, attempt, 300)
    assert (await redis.zscore(key, str(attempt))) / 1000 > time.time() + 200
    assert await extend(redis, attempt, 1)  # never shortened
    assert (await redis.zscore(key, str(attempt))) / 1000 > time.time() + 200
    await release(redis, attempt)
    assert not await extend(redis, attempt, 300)


async def test_a_pod_learns_what_is_reserved_and_takes_it_over(
    redis: Redis, settings: Settings
) -> None:
    await beat(redis, pod("pod-1", 2), settings)
    attempt = uuid4()
    await reserve(redis, attempt, 30)
    assert (await beat(redis, pod("pod-1", 2), settings)).reserved == [attempt]
    assert (await beat(redis, pod("pod-1", 2, live=[attempt]), settings)).reserved == []
    view = (await list_pods(redis))[0]
    assert (view.reserved, view.live) == (0, 1)
    slot = await reserve(redis, attempt, 30)
    assert slot == Slot("pod-1", "b1", "wss://outdial.test/pods/pod-1")
    assert (await list_pods(redis))[0].used == 1
    await beat(redis, pod("pod-1", 2), settings)  # the call is over
    assert await free_slots(redis) == 2


async def test_a_new_boot_inherits_nothing(redis: Redis, settings: Settings) -> None:
    await beat(redis, pod("pod-1", 2, live=[uuid4()]), settings)
    attempt = uuid4()
    await reserve(redis, attempt, 30)
    assert (await beat(redis, pod("pod-1", 2, boot="b2"), settings)).reserved == []
    assert await holder(redis, attempt) is None
    assert await free_slots(redis) == 2
    slot = await reserve(redis, attempt, 30)
    assert isinstance(slot, Slot)
    assert slot.boot_id == "b2"


async def test_a_silent_pod_is_out_and_its_calls_move(redis: Redis, settings: Settings) -> None:
    await beat(redis, pod("pod-1"), settings)
    attempt = uuid4()
    await reserve(redis, attempt, 30)
    await outlive(redis, "pod-1", settings)
    assert await holder(redis, attempt) is None
    assert await reserve(redis, attempt, 30) == NoRoom()
    await beat(redis, pod("pod-2"), settings)
    moved = await reserve(redis, attempt, 30)
    assert isinstance(moved, Slot)
    assert moved.pod_id == "pod-2"
    assert [(v.pod_id, v.is_out) for v in await list_pods(redis)] == [
        ("pod-1", True),
        ("pod-2", False),
    ]


async def test_a_draining_pod_keeps_live_calls_and_loses_those_that_ring(
    redis: Redis, settings: Settings
) -> None:
    rings, speaks = uuid4(), uuid4()
    await beat(redis, pod("pod-1"), settings)
    await reserve(redis, rings, 30)
    await reserve(redis, speaks, 30)
    await beat(redis, pod("pod-1", live=[speaks], state="draining"), settings)
    await beat(redis, pod("pod-2"), settings)
    where = [await reserve(redis, a, 30) for a in (rings, speaks)]
    assert [slot.pod_id for slot in where if isinstance(slot, Slot)] == ["pod-2", "pod-1"]
    assert (
        await beat(redis, pod("pod-1", live=[speaks], state="draining"), settings)
    ).reserved == []


async def test_pods_that_carry_the_labels_come_first_and_others_only_by_leave(
    redis: Redis, settings: Settings
) -> None:
    eu = {"zone": "eu", "gpu": "no"}
    await beat(redis, pod("us", 9, labels={"zone": "us"}), settings)
    await beat(redis, pod("eu", 2, labels=eu), settings)
    strict, spilling = Pods({"zone": "eu"}, spill=False), Pods({"zone": "eu"})
    found = [await reserve(redis, uuid4(), 30, wanted=strict) for _ in range(3)]
    assert [slot.pod_id for slot in found if isinstance(slot, Slot)] == ["eu", "eu"]
    assert found[2] == NoRoom()
    spilled = await reserve(redis, uuid4(), 30, wanted=spilling)
    assert isinstance(spilled, Slot)
    assert spilled.pod_id == "us"
    assert await reserve(redis, uuid4(), 30, wanted=Pods({**eu, "gpu": "yes"}, False)) == NoRoom()


async def test_every_pod_of_a_large_fleet_is_listed_once(redis: Redis, settings: Settings) -> None:
    for n in range(230):
        await beat(redis, pod(f"pod-{n:03d}", 3), settings)
    await reserve(redis, uuid4(), 30)
    found = await list_pods(redis)
    assert [p.pod_id for p in found] == [f"pod-{n:03d}" for n in range(230)]
    assert sum(p.reserved for p in found) == 1


async def test_a_pod_that_is_asked_to_drain_takes_nothing_from_that_moment(
    redis: Redis, settings: Settings
) -> None:
    rings = uuid4()
    await beat(redis, pod("pod-1"), settings)
    await reserve(redis, rings, 30)
    assert await ask_to_drain(redis, "pod-1")
    assert await free_slots(redis) == 0
    assert await reserve(redis, uuid4(), 30) == NoRoom()
    await beat(redis, pod("pod-2"), settings)
    moved = await reserve(redis, rings, 30)
    assert isinstance(moved, Slot)
    assert moved.pod_id == "pod-2"
    told = await beat(redis, pod("pod-1"), settings)  # it does not know yet
    assert told.drain
    assert [p.state for p in await list_pods(redis)] == ["draining", "ready"]
    assert await free_slots(redis) == 1
    reborn = await beat(redis, pod("pod-1", boot="b2"), settings)
    assert not reborn.drain
    assert await free_slots(redis) == 3
    assert not await ask_to_drain(redis, "nobody")


async def test_the_pod_that_lost_the_call_is_avoided_in_that_life(
    redis: Redis, settings: Settings
) -> None:
    await beat(redis, pod("pod-1"), settings)
    attempt = uuid4()
    await reserve(redis, attempt, 30)
    await beat(redis, pod("pod-1", live=[attempt]), settings)
    assert await reserve(redis, attempt, 30, avoid=("pod-1", "b1")) == NoRoom()
    await beat(redis, pod("pod-2"), settings)
    both = [await reserve(redis, attempt, 30, avoid=("pod-1", "b1")) for _ in range(2)]
    assert [slot.pod_id for slot in both if isinstance(slot, Slot)] == ["pod-2", "pod-2"]
    await beat(redis, pod("pod-1", boot="b2"), settings)
    await release(redis, attempt)
    again = await reserve(redis, attempt, 30, avoid=("pod-1", "b1"))
    assert isinstance(again, Slot)
    assert again.boot_id == "b2" or again.pod_id == "pod-2"


async def test_a_pod_that_has_just_lost_a_call_gets_no_other_until_it_is_heard(
    redis: Redis, settings: Settings
) -> None:
    await beat(redis, pod("pod-1"), settings)
    lost = uuid4()
    await reserve(redis, lost, 30)
    await beat(redis, pod("pod-2"), settings)
    assert isinstance(await reserve(redis, lost, 30, avoid=("pod-1", "b1")), Slot)
    others = [await reserve(redis, uuid4(), 30) for _ in range(2)]  # pod-1 is empty, and looks well
    assert {slot.pod_id for slot in others if isinstance(slot, Slot)} == {"pod-2"}
    await beat(redis, pod("pod-1"), settings)
    again = await reserve(redis, uuid4(), 30)
    assert isinstance(again, Slot)
    assert again.pod_id == "pod-1"


async def test_an_emptied_redis_says_nothing_until_it_is_rebuilt(
    redis: Redis, settings: Settings
) -> None:
    ringing: UUID = uuid4()
    await redis.flushall()
    await beat(redis, pod("pod-1", 1), settings)
    assert await reserve(redis, uuid4(), 30) == NotReady()
    assert await free_slots(redis) == 0
    held = [Held(ringing, "pod-1", "b1", 30), Held(uuid4(), "pod-1", "old-life", 30)]
    assert await rebuild(redis, held)
    assert not await rebuild(redis, [])  # somebody else came first
    assert (await beat(redis, pod("pod-1", 1), settings)).reserved == [ringing]
    assert await reserve(redis, uuid4(), 30) == NoRoom()
    assert isinstance(await reserve(redis, ringing, 30), Slot)


async def test_labels_and_names(redis: Redis, settings: Settings) -> None:
    await beat(redis, pod("pod-1", labels={"zone": "eu"}), settings)
    assert (await list_pods(redis))[0].labels == {"zone": "eu"}
    with pytest.raises(ValueError, match="cannot name a pod"):
        await beat(redis, pod("a pod"), settings)
