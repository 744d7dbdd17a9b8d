"""The pod's beat: each second it says what it is, and hears what is reserved on it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from redis.exceptions import RedisError

from outdial.operations.runtime import Runtime
from outdial.routing.pod_registry import BeatAnswer, Heartbeat, beat


async def keep_beating(
    runtime: Runtime,
    describe: Callable[[], Heartbeat],
    follow: Callable[[BeatAnswer], None],
    wake: asyncio.Event,
    accepted: asyncio.Event,
) -> None:
    """Beat until cancelled; `wake` brings the next beat forward, `accepted` is set by the first.

    A beat that fails is followed by the next: what Redis forgot meanwhile, it is told again.
    """
    pause = runtime.settings.heartbeat_seconds
    while True:
        try:
            async with asyncio.timeout(runtime.settings.pod_out_after_seconds):
                answer = await beat(runtime.redis, describe(), runtime.settings)
            runtime.outages.back("redis")
            accepted.set()
            follow(answer)
        except (RedisError, OSError, TimeoutError) as error:
            runtime.outages.away("redis", f"beat failed: {error!r}")
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await wake.wait()
        wake.clear()
