"""How sockets to providers are opened: with one TLS context for all of a pod.

`websockets` makes a context for every connection that is given none: 30 to 40 ms of reading
certificates, in which no other call's sound goes on.
"""

import ssl
from functools import cache
from typing import Any


@cache
def shared_tls() -> ssl.SSLContext:
    """The context; the first who asks waits for it (`warm_up.py` does)."""
    return ssl.create_default_context()


def opened_with(uri: str) -> dict[str, Any]:
    """What `websockets.connect` is told of `uri`. Sound is not compressed: it does not shrink."""
    options: dict[str, Any] = {"compression": None}
    if uri.startswith("wss:"):
        options["ssl"] = shared_tls()
    return options


class SharesTls:
    """Put before a service of pipecat 1.14 among a class's bases; over HTTP it changes nothing."""

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        above: Any = super()
        return await above._websocket_connect(  # noqa: SLF001
            uri, **(opened_with(uri) | kwargs)
        )
