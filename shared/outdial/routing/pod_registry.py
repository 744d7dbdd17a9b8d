"""Media pods and what they last said of themselves.

A pod beats once a second. What it says replaces what was known; a pod that is silent is out. Its
beat is answered with the attempts whose slots are reserved on it: what to prepare, and by what is
missing, what to drop.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from redis.asyncio import Redis

from outdial.routing.lua_scripts import LuaScript
from outdial.settings import Settings

PodState = Literal["ready", "draining"]

PAGE = 50
"""Pods asked for at a time; reading them takes about a millisecond."""


@dataclass(frozen=True)
class Heartbeat:
    """What a pod says. A restart under the same `pod_id` has another `boot_id`.

    `url` is the public WebSocket address up to and including `/pods/{pod_id}`, and `health_url`
    where the deployment's own processes ask whether it lives.
    """

    pod_id: str
    boot_id: str
    url: str
    slots: int
    state: PodState = "ready"
    preparing: Sequence[UUID] = ()
    live: Sequence[UUID] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    health_url: str = ""


@dataclass(frozen=True)
class BeatAnswer:
    """What a pod is told: the ids reserved on it and not yet live, and whether it is to drain."""

    reserved: list[UUID]
    drain: bool = False


@dataclass(frozen=True)
class PodView:
    """A pod as the registry knows it. `reserved` and `live` count slots whose lease stands."""

    pod_id: str
    boot_id: str
    url: str
    slots: int
    state: PodState
    reserved: int
    live: int
    age_seconds: float
    out_after_seconds: float = 3.0
    preparing: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    health_url: str = ""

    @property
    def is_out(self) -> bool:
        """Whether it has been silent for too long."""
        return self.age_seconds > self.out_after_seconds

    @property
    def used(self) -> int:
        """Slots in use."""
        return self.reserved + self.live

    @property
    def load(self) -> float:
        """The share of slots in use."""
        return self.used / self.slots if self.slots else 1.0


_beat = LuaScript("beat")
_drain = LuaScript("drain")
_pods = LuaScript("pods")


async def beat(redis: Redis, heartbeat: Heartbeat, settings: Settings) -> BeatAnswer:
    """Tell the registry what the pod is, and hear what it has to do."""
    _check_name(heartbeat.pod_id)
    _check_name(heartbeat.boot_id)
    said = {
        "pod": heartbeat.pod_id,
        "boot": heartbeat.boot_id,
        "url": heartbeat.url,
        "slots": heartbeat.slots,
        "state": heartbeat.state,
        "out_after": round(settings.pod_out_after_seconds * 1000),
        "preparing": len(heartbeat.preparing),
        "health": heartbeat.health_url,
        "labels": json.dumps(dict(heartbeat.labels)),  # text: Lua's JSON loses an empty object
    }
    drain, *reserved = await _beat(
        redis,
        heartbeat.pod_id,
        json.dumps(said),
        round(settings.live_slot_lease_seconds * 1000),
        *map(str, heartbeat.live),
    )
    return BeatAnswer([UUID(attempt_id) for attempt_id in reserved], bool(drain))


async def ask_to_drain(redis: Redis, pod_id: str) -> bool:
    """Have a pod take no new calls, from now on and until it is started anew; False: not heard."""
    return bool(await _drain(redis, pod_id))


async def list_pods(redis: Redis) -> list[PodView]:
    """Every pod heard in the last ten minutes, by name.

    Page by page: between two of them the event loop is free for others.
    """
    found: dict[str, PodView] = {}
    cursor = ""
    while cursor != "0":
        cursor, *cells = json.loads(await _pods(redis, cursor or "0", PAGE))
        for row in zip(*[iter(cells)] * 4, strict=True):
            pod = _view(*row)
            found[pod.pod_id] = pod
    return sorted(found.values(), key=lambda pod: pod.pod_id)


def _view(text: str, reserved: int, live: int, age_ms: int) -> PodView:
    said, labels = _said(text)
    return PodView(
        pod_id=said["pod"],
        boot_id=said["boot"],
        url=said["url"],
        slots=said["slots"],
        state=said["state"],
        reserved=reserved,
        live=live,
        age_seconds=age_ms / 1000,
        out_after_seconds=said["out_after"] / 1000,
        preparing=said["preparing"],
        labels=labels,
        health_url=said["health"],
    )


@lru_cache(maxsize=4096)
def _said(text: str) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """What a heartbeat says. Most say what the one before said."""
    said: dict[str, Any] = json.loads(text)
    return said, json.loads(said["labels"])


def _check_name(name: str) -> None:
    """Names stand in keys and in values with spaces between."""
    if not name or any(character.isspace() for character in name):
        raise ValueError(f"{name!r} cannot name a pod or a boot: it is empty or holds a space")
