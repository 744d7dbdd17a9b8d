"""How large a request's body may be: checked against its declared length and while it comes."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outdial_api.problems import problem

DEFAULT_LIMIT = 1024 * 1024
IMPORT_LIMIT = 512 * 1024 * 1024
"""CSV and NDJSON are read as they come; a million leads are about 150 MB."""


class BodyLimit:
    """Middleware that refuses a body above the limit with 413, before it is all here.

    `larger` names path prefixes and suffixes that may be larger: (prefix, suffix, bytes).
    """

    def __init__(self, app: ASGIApp, larger: Sequence[tuple[str, str, int]] = ()) -> None:
        self.app = app
        self.larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared[:20]) > limit:
            await problem(413, _sentence(limit))(scope, receive, send)
            return
        await self.app(scope, _counted(receive, limit), send)

    def _limit(self, path: str) -> int:
        for prefix, suffix, limit in self.larger:
            if path.startswith(prefix) and path.endswith(suffix):
                return limit
        return DEFAULT_LIMIT


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise HTTPException(413, _sentence(limit))
        return message

    return counting


def too_large(limit: int) -> HTTPException:
    """The refusal, for a route that has a limit of its own."""
    return HTTPException(413, _sentence(limit))


def _sentence(limit: int) -> str:
    return f"The body is larger than the {limit // 1024} KB that are accepted here."
