"""Deepgram's client, shared by all calls of a pod, with what it would do at each connection done.

deepgram-sdk 7.17 reads its package's version from disk (2 ms), has a TLS context made (35 ms), and
asks for compression, each time that a call's recogniser connects. Nobody else's sound goes on
meanwhile.
"""

from typing import Any

import deepgram.listen.v1.client as upstream  # loaded late otherwise, by the first call
from deepgram import AsyncDeepgramClient, DeepgramClientEnvironment

from outdial_media.shared_tls import opened_with

_connect: Any = vars(upstream)["websockets_client_connect"]


def _opened(uri: str, **kwargs: Any) -> Any:
    return _connect(uri, **(opened_with(uri) | kwargs))


vars(upstream)["websockets_client_connect"] = _opened  # it hands no options through


def deepgram_client(key: str, http_url: str, ws_url: str) -> AsyncDeepgramClient:
    """A client for the addresses without their paths: `https://...` and `wss://...`."""
    client = AsyncDeepgramClient(
        api_key=key,
        environment=DeepgramClientEnvironment(
            base=http_url, production=ws_url, agent=ws_url, agent_rest=http_url
        ),
    )
    wrapper: Any = client._client_wrapper  # noqa: SLF001
    wrapper.get_headers = wrapper.get_headers().copy
    return client
