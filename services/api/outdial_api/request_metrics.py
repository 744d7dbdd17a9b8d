"""How long requests take, by route: never by path, which would hold ids."""

import time

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = Histogram(
    "outdial_http_request_seconds",
    "Seconds from a request to the start of its answer.",
    ["method", "route", "status"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1, 3, 10),
)


class RequestMetrics:
    """Middleware that times answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unknown")
                took = time.perf_counter() - began
                _SECONDS.labels(scope["method"], route, str(message["status"])).observe(took)
            await send(message)

        await self.app(scope, receive, timed)
