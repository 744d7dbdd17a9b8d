"""What every Deepgram route shares: the key, and how a request is refused."""

from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket


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
