"""What the gateway keeps open between answers, beside the stores: views of pods and of stores."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from outdial.operations.breaker import Breaker
from outdial.operations.runtime import Runtime
from outdial.routing.router import Router, watching_pods
from outdial.storage.answered_calls import AnsweredCalls, reading_answered_calls

_NOBODYS = UUID(int=0)


@dataclass(frozen=True)
class Gateway:
    """`router`: the last view of the pods. `calls`: attempts, read many at once.

    The breakers stand before the two stores, for those who answer a person on the telephone.
    """

    runtime: Runtime
    router: Router
    calls: AnsweredCalls
    postgres: Breaker
    redis: Breaker


@asynccontextmanager
async def open_gateway(runtime: Runtime) -> AsyncIterator[Gateway]:
    """Open it over a runtime; what runs in the background ends with the block."""
    settings = runtime.settings
    patience = settings.store_patience_seconds
    async with (
        watching_pods(runtime.redis, settings) as router,
        reading_answered_calls(settings.database_url) as calls,
    ):
        # Shielded: the probe may be canceled, the answer belongs to all who asked.
        postgres = Breaker("postgres", patience, lambda: asyncio.shield(calls.read(_NOBODYS)))
        redis = Breaker("redis", patience, runtime.redis.ping)
        try:
            yield Gateway(runtime, router, calls, postgres, redis)
        finally:
            await postgres.close()
            await redis.close()
