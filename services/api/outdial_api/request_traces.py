"""A span for each request that turns out to be about a call, in that call's trace.

Routes and operations say whose call it is when they have read it (`traces.about_attempt`,
`traces.begins`); a request about no call has no span. A caller's own `traceparent` becomes a link:
the trace's id is the lead's, and cannot be the caller's as well.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outdial.observability import traces
from outdial.observability.trace_ids import read_traceparent

SERVER_ERROR = 500


class RequestTraces:
    """Middleware around everything; it does nothing while no traces are exported."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or not traces.is_on():
            await self.app(scope, receive, send)
            return
        span = traces.span(scope["method"], kind="server")
        span.link = read_traceparent(Headers(scope=scope).get("traceparent"))

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                _describe(span, scope, message["status"])
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                span.stop()  # what is done after the answer may still say whose call it was

        with span:
            await self.app(scope, receive, noted)


def _describe(span: traces.Span, scope: Scope, status: int) -> None:
    """The route, never the path: ids in paths are attributes, and queries hold what they like."""
    route = getattr(scope.get("route"), "path", "unknown")
    span.name = f"{scope['method']} {route}"
    span.set_standard("http.request.method", scope["method"])
    span.set_standard("http.route", route)
    span.set_standard("http.response.status_code", status)
    if status >= SERVER_ERROR:
        span.fail(str(status))
