"""What every Deepgram route shares: the key, and how a request is refused."""

from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from outdial_sandbox.carrier.hang_up import reset


def is_authorised(headers: Headers, key: str) -> bool:
    """`Token KEY` or `Bearer KEY`; any key at all when none is configured."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    given = given.strip()
    return scheme.lower() in ("token", "bearer") and bool(given) and (not key or given == key)


def refusal(status: int, code: str, message: str) -> Response:
    """An error as Deepgram words it; the `dg-error` header says why a handshake failed."""
    request_id = str(uuid4())
    body: dict[str, Any] = {"err_code": code, "err_msg": message, "request_id": request_id}
    return JSONResponse(body, status, {"dg-error": message, "dg-request-id": request_id})


def unauthorised() -> Response:
    """401, as Deepgram answers a missing or wrong key."""
    return refusal(401, "INVALID_AUTH", "Invalid credentials.")


async def refuse(socket: WebSocket, response: Response) -> None:
    """Answer a WebSocket handshake with an HTTP error."""
    await socket.send_denial_response(response)


def fault_response(fault: str) -> Response | None:
    """How Deepgram answers a request that `fault` befalls; None if the fault is no answer."""
    if fault.endswith("_429"):
        return refusal(429, "TOO_MANY_REQUESTS", "Too many requests. Please try again later")
    if fault.endswith("_500"):
        return refusal(500, "INTERNAL_SERVER_ERROR", "Internal server error")
    return None


async def fail_handshake(socket: WebSocket, fault: str) -> None:
    """Let `fault` befall a WebSocket that has not been accepted."""
    if (response := fault_response(fault)) is not None:
        await refuse(socket, response)
        return
    if fault.endswith("_refused"):
        reset(socket.scope)
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass  # stalled: the client may wait as long as it likes
