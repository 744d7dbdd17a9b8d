"""The APIs that models are asked at: Groq's, and those that the operator has named.

Clients, connection pools and TLS contexts are made once a process; addresses and keys come from
`model_addresses.py`.
"""

import os
from collections.abc import Mapping
from copy import copy

from openai import DEFAULT_CONNECTION_LIMITS, AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

from outdial.operations.model_addresses import model_addresses
from outdial.settings import Settings
from outdial_media.model_answer import Endpoint

ANSWER_SECONDS = 8.0
"""The longest gap in a model's answer before it counts as failed, whatever a template says."""

KEPT_SECONDS = 60.0
"""A connection that nobody asks on is kept so long. openai 2 closes it after 5 s, within a turn of
a call: each reply of a quiet pod would begin with a handshake. One that the server has closed is
noticed before it is asked on."""

_CONNECT_SECONDS = 3.0
_NO_KEY = "none"  # servers of one's own often ask for none, and the client insists on one


class ModelEndpoints:
    """Clients by the name that templates use; the empty name is Groq's."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
        self._clients = {
            name: _client(address.url, address.key or _NO_KEY)
            for name, address in model_addresses(settings, environment).items()
        }

    @property
    def groq(self) -> AsyncOpenAI:
        """Groq's client."""
        return self._clients[""]

    def endpoint(self, service: str, model: str) -> Endpoint:
        """A model at a named API.

        One that is not set here fails when it is asked, and says why: a call goes on with its
        second model, or ends in words.
        """
        client = self._clients.get(service)
        missing = f"OUTDIAL_MODEL_ENDPOINTS of this pod names no {service!r}"
        return Endpoint(client, model, problem="" if client else missing)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.close()


def _client(url: str, key: str) -> AsyncOpenAI:
    limits = copy(DEFAULT_CONNECTION_LIMITS)
    limits.keepalive_expiry = KEPT_SECONDS
    timeout = Timeout(ANSWER_SECONDS, connect=_CONNECT_SECONDS)
    return AsyncOpenAI(
        api_key=key,
        base_url=url,
        timeout=timeout,
        http_client=DefaultAsyncHttpxClient(base_url=url, timeout=timeout, limits=limits),
        max_retries=0,  # the route asks the next one instead
    )
