"""The gateway's last view of the pods, for the moment when Redis does not answer.

A call that a person has picked up is connected from what was known a second ago rather than not at
all: the pod checks the token and refuses what it has no room for.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

from outdial.background_task import running
from outdial.domain.call_template import Pods
from outdial.observability.outages import Outages
from outdial.routing.pod_registry import PodView, list_pods
from outdial.settings import Settings


def choose(
    pods: Iterable[PodView], wanted: str, without: str = "", kind: Pods | None = None
) -> PodView | None:
    """The pod `wanted` if it lives, else the least loaded one that takes calls and has room.

    `without` is a pod that just lost the call; `kind` says which pods come first.
    """
    pods = list(pods)
    for pod in pods:  # of a large fleet only one is looked at: this is asked by every answer
        if pod.pod_id == wanted and wanted != without and pod.state == "ready" and not pod.is_out:
            return pod
    ready = [pod for pod in pods if pod.state == "ready" and pod.pod_id != without]
    free = [pod for pod in ready if pod.used < pod.slots and not pod.is_out]
    if kind is not None and kind.labels:
        fitting = [pod for pod in free if kind.labels.items() <= dict(pod.labels).items()]
        free = fitting or (free if kind.spill else [])
    return min(free, key=lambda pod: (pod.load, pod.pod_id), default=None)


class Router:
    """Keeps the view fresh in the background; `choose` reads it without waiting for anything."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._outages = Outages()
        self.pods: Sequence[PodView] = ()

    async def run(self) -> None:
        """Refresh once a second until canceled. While Redis is away, the last view stays."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._settings.heartbeat_seconds)

    async def refresh(self) -> None:
        """Ask Redis once. An empty answer after a full one is an emptied Redis: not believed."""
        try:
            pods = await list_pods(self._redis)
        except (RedisError, OSError, TimeoutError) as error:
            self._outages.away("redis", f"the last view of the pods stays: {error}")
            return
        self._outages.back("redis")
        if pods or not self.pods:
            self.pods = pods

    def choose(self, wanted: str, without: str = "", kind: Pods | None = None) -> PodView | None:
        """From the last view: ages in it are those at the moment it was taken."""
        return choose(self.pods, wanted, without, kind)


@asynccontextmanager
async def watching_pods(redis: Redis, settings: Settings) -> AsyncIterator[Router]:
    """A router whose view is kept fresh until the end of the block."""
    router = Router(redis, settings)
    async with running(router.run(), "router"):
        yield router
