"""Closing a connection without an answer, which ASGI itself has no word for."""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

_TRANSPORT = "outdial_sandbox.transport"


class HangUpApp(Starlette):
    """Keeps the connection of each request where `hang_up` finds it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # uvicorn's `send` is a method of the request's own object, which knows its transport.
        scope[_TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


async def hang_up(request: Request) -> None:
    """Close the request's connection; whatever is answered afterwards goes nowhere."""
    _transport(request.scope).close()
    while (await request.receive())["type"] != "http.disconnect":
        pass


def reset(scope: Scope) -> None:
    """Reset the connection of a request or a WebSocket, whatever was being sent."""
    _transport(scope).abort()


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport | None = scope[_TRANSPORT]
    if transport is None:
        raise RuntimeError("connections can be dropped under uvicorn only")
    return transport
