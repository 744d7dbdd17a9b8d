"""Slots: room for one conversation on one pod, held for one attempt.

A slot is a lease. The dialer's lasts while the phone rings (`reserve`, `extend`), the pod's while
it speaks (its heartbeat renews it). A pod's load is a set of attempt ids, never a counter, so that
nothing is counted twice and nothing leaks. Each step is one Lua script.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid4

from redis.asyncio import Redis

from outdial.domain.call_template import Pods
from outdial.routing import keys
from outdial.routing.lua_scripts import LuaScript


@dataclass(frozen=True)
class Slot:
    """Where an attempt's conversation has its room. `url` is the pod's public WebSocket address."""

    pod_id: str
    boot_id: str
    url: str


@dataclass(frozen=True)
class NoRoom:
    """Every pod that takes calls is full."""


@dataclass(frozen=True)
class NotReady:
    """Redis was emptied and reservations are not rebuilt yet: nobody knows what is in use."""


@dataclass(frozen=True)
class Held:
    """A slot that stood before Redis was emptied, to be written again."""

    attempt_id: UUID
    pod_id: str
    boot_id: str
    lease_seconds: float


_reserve = LuaScript("reserve")
_confirm = LuaScript("confirm")
_release = LuaScript("release")
_extend = LuaScript("extend")
_holder = LuaScript("holder")
_free_slots = LuaScript("free_slots")
_rebuild = LuaScript("rebuild")


async def reserve(
    redis: Redis,
    attempt_id: UUID,
    lease_seconds: float,
    *,
    avoid: tuple[str, str] | None = None,
    wanted: Pods | None = None,
) -> Slot | NoRoom | NotReady:
    """Hold a slot for `attempt_id` on the least loaded pod; the same slot each time it is asked.

    A slot on a pod that went silent, started anew, or drains before the call was answered is given
    up for another one in the same step. `avoid` is a pod (id, boot id) that just lost the call.
    `wanted` says which pods come first, and whether others will do.
    """
    pod, boot = avoid or ("", "")
    pods = wanted or Pods()
    labels = json.dumps(pods.labels) if pods.labels else ""
    lease = _ms(lease_seconds)
    found = await _reserve(redis, str(attempt_id), lease, pod, boot, labels, int(pods.spill))
    if found[0] == "slot":
        return Slot(*found[1:])
    return NoRoom() if found[0] == "no_room" else NotReady()


async def confirm(redis: Redis, attempt_id: UUID, lease_seconds: float) -> Slot | None:
    """The slot that `attempt_id` holds, its lease renewed, if its pod still takes the call.

    Reserves nothing: it may be asked before it is known whether the call goes on at all.
    """
    found = await _confirm(redis, str(attempt_id), _ms(lease_seconds))
    return Slot(*found[1:]) if found else None


async def release(redis: Redis, attempt_id: UUID) -> bool:
    """Give the slot of `attempt_id` back; False if it held none. The one place that does."""
    return bool(await _release(redis, str(attempt_id)))


async def extend(redis: Redis, attempt_id: UUID, lease_seconds: float) -> bool:
    """Let a reservation that stands last for `lease_seconds` from now, if that is longer."""
    return bool(await _extend(redis, str(attempt_id), _ms(lease_seconds)))


async def holder(redis: Redis, attempt_id: UUID, *, only_live: bool = False) -> Slot | None:
    """The slot of `attempt_id`, if it stands on a pod that is heard (`only_live`: and speaks)."""
    found = await _holder(redis, str(attempt_id), "live" if only_live else "")
    return Slot(*found) if found else None


async def free_slots(redis: Redis) -> int:
    """How many slots could be reserved at this moment; none while reservations are not rebuilt."""
    return int(await _free_slots(redis))


async def is_ready(redis: Redis) -> bool:
    """Whether reservations are known; False in an emptied Redis until `rebuild`."""
    return bool(await redis.exists(keys.EPOCH))


async def rebuild(redis: Redis, held: Iterable[Held]) -> bool:
    """Write the slots of live attempts into an emptied Redis; False if that was done already."""
    rows = [
        part
        for slot in held
        for part in (str(slot.attempt_id), slot.pod_id, slot.boot_id, _ms(slot.lease_seconds))
    ]
    return bool(await _rebuild(redis, uuid4().hex, *rows))


async def all_holders(redis: Redis) -> dict[UUID, float]:
    """Every attempt that holds a slot, and since when (epoch seconds of Redis): for the sweep."""
    found: dict[UUID, float] = {}
    async for attempt, value in redis.hscan_iter(keys.SLOTS, count=500):
        found[UUID(attempt)] = int(value.rsplit(" ", 1)[1]) / 1000
    return found


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
