"""The gateway: REST for people and programs, and the routes that Twilio asks."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from outdial.background_task import running
from outdial.observability.trace_setup import close_traces
from outdial.operations.create_template import prepare_deployment
from outdial.operations.gateway import open_gateway
from outdial.operations.runtime import Runtime, open_runtime
from outdial.settings import Settings
from outdial_api import problems
from outdial_api.body_limit import IMPORT_LIMIT, BodyLimit
from outdial_api.request_metrics import RequestMetrics
from outdial_api.request_traces import RequestTraces
from outdial_api.routes import (
    api_docs,
    calls,
    campaign_check,
    campaigns,
    health,
    imports,
    keys,
    leads,
    numbers,
    pods,
    suppression_import,
    suppressions,
    templates,
    twilio_callbacks,
    twilio_voice,
)
from outdial_api.routing_metrics import fleet_metrics
from outdial_api.writing import writing_facts

_log = structlog.get_logger(__name__)

_PATIENCE = 3.0  # at the start, for Postgres; then the work goes on beside
_AGAIN = 2.0

_ROUTERS = (
    twilio_voice.router,
    twilio_callbacks.router,
    health.router,
    api_docs.router,
    calls.router,
    campaigns.router,
    campaign_check.router,
    imports.router,
    leads.router,
    templates.router,
    numbers.router,
    suppression_import.router,
    suppressions.router,
    pods.router,
    keys.router,
)

CONNECTIONS = 20  # to Postgres: an upload or an export keeps one for as long as it lasts

DESCRIPTION = """Outbound calling with a voice AI: queue leads, follow calls, read outcomes.

Send an API key as `Authorization: Bearer od_...`. Errors are `application/problem+json`. Lists come
in pages: ask again with `cursor=` set to `next_cursor`. Requests that make something take an
`Idempotency-Key`.
"""


def create_app(settings: Settings) -> FastAPI:
    """The application; its stores are opened when it starts and closed when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_runtime(settings, CONNECTIONS) as runtime,
            open_gateway(runtime) as gateway,
            writing_facts(runtime) as writing,
            _prepared(runtime),
        ):
            app.state.runtime = runtime
            app.state.gateway = gateway
            app.state.writing = writing
            with fleet_metrics(gateway.router):
                gc.freeze()  # what was made at the start lives on: collections need not look at it
                yield
        await asyncio.to_thread(close_traces)  # here: uvicorn ends the process by its signal

    app = FastAPI(
        title="Outdial",
        version=version("outdial"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # routes/api_docs.py: these load scripts from other hosts
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would export queries
    )
    for router in _ROUTERS:
        app.include_router(router)
    problems.install(app)
    larger = [
        ("/v1/campaigns/", "/leads", IMPORT_LIMIT),
        ("/v1/suppressions/", "/import", IMPORT_LIMIT),
    ]
    app.add_middleware(BodyLimit, larger=larger)
    app.add_middleware(RequestMetrics)
    app.add_middleware(RequestTraces)
    return app


@asynccontextmanager
async def _prepared(runtime: Runtime) -> AsyncIterator[None]:
    """See that what every deployment has is there; while Postgres is away, answer calls anyway."""
    async with running(_prepare(runtime), "prepare") as task:
        await asyncio.wait({task}, timeout=_PATIENCE)
        yield


async def _prepare(runtime: Runtime) -> None:
    while True:
        try:
            await prepare_deployment(runtime)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("deployment_not_prepared", error=str(error).splitlines()[0])
            await asyncio.sleep(_AGAIN)
        else:
            return
