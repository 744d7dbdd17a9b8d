"""Which store an error is of, and whether those that were away are back."""

from redis.exceptions import RedisError
from sqlalchemy import text

from outdial.operations.ask_in_time import Away, ask_in_time
from outdial.operations.runtime import Runtime

_PATIENCE = 1.0

REDIS, POSTGRES = "redis", "postgres"


def store_failed(runtime: Runtime, error: BaseException) -> None:
    """Note one of `STORE_ERRORS`: a line in the log for the first of an outage."""
    store = REDIS if isinstance(error, RedisError) else POSTGRES
    runtime.outages.away(store, f"{type(error).__name__}: {error}")


async def look_for_stores(runtime: Runtime) -> None:
    """Ask the stores that are away, if any; for who has just done something with success."""
    for store in runtime.outages.stores:
        asking = _ask_redis(runtime) if store == REDIS else _ask_postgres(runtime)
        if not isinstance(await ask_in_time(_PATIENCE, asking), Away):
            runtime.outages.back(store)


async def _ask_redis(runtime: Runtime) -> None:
    await runtime.redis.ping()


async def _ask_postgres(runtime: Runtime) -> None:
    async with runtime.sessions() as session:
        await session.execute(text("SELECT 1"))
