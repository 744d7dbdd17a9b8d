"""The carrier as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from outdial_sandbox.carrier.api_errors import ApiError
from outdial_sandbox.carrier.config import CarrierConfig, NetworkSettings
from outdial_sandbox.carrier.control_api import ControlApi
from outdial_sandbox.carrier.exchange import Exchange, WhoAnswers
from outdial_sandbox.carrier.hang_up import HangUpApp
from outdial_sandbox.carrier.rest_api import RestApi, refusal
from outdial_sandbox.carrier.shop import shop_routes


def build_carrier(
    config: CarrierConfig, settings: NetworkSettings, who_answers: WhoAnswers
) -> Starlette:
    """The carrier; `who_answers(number, earlier_calls)` says who is at the other end."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        config.recordings.mkdir(parents=True, exist_ok=True)
        yield
        await app.state.exchange.close()

    exchange = Exchange(config, settings, who_answers)
    app = HangUpApp(
        routes=[*RestApi(exchange).routes(), *ControlApi(exchange).routes(), *shop_routes()],
        lifespan=lifespan,
        exception_handlers={404: _no_such_resource, 405: _no_such_resource},
    )
    app.state.exchange = exchange
    return app


async def _no_such_resource(request: Request, _error: Exception) -> Response:
    return refusal(ApiError(20404, request.url.path))
