"""Whether the process lives, whether it can work, and what it counts."""

import asyncio

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from outdial.operations.runtime import Runtime
from outdial_api.dependencies import OpenRuntime

router = APIRouter(tags=["health"], include_in_schema=False)
_PATIENCE = 2.0


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(runtime: OpenRuntime) -> Response:
    """Both stores answer."""
    stores = {"postgres": await _postgres(runtime), "redis": await _redis(runtime)}
    status = 200 if all(stores.values()) else 503
    return JSONResponse({"status": "ok" if status == 200 else "unready", **stores}, status)


@router.get("/metrics")
async def metrics() -> Response:
    """Counters in Prometheus' format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _postgres(runtime: Runtime) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE), runtime.sessions() as session:
            await session.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError, TimeoutError):
        return False
    return True


async def _redis(runtime: Runtime) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            await runtime.redis.ping()
    except (RedisError, OSError, TimeoutError):
        return False
    return True
