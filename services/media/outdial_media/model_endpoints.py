"""The APIs that models are asked at: Groq's, and those that the operator has named.

A template names an endpoint, never an address or a key: `OUTDIAL_MODEL_ENDPOINTS` has the
addresses of OpenAI-compatible APIs, `OUTDIAL_MODEL_KEY_<NAME>` their keys. Clients, connection
pools and TLS contexts are made once a process.
"""

import os
from collections.abc import Mapping

from openai import AsyncOpenAI, Timeout
from outdial.settings import Settings, read_endpoints

from outdial_media.model_route import Endpoint

ANSWER_SECONDS = 8.0
"""The longest gap in a model's answer before it counts as failed, whatever a template says."""

_CONNECT_SECONDS = 3.0
_NO_KEY = "none"  # servers of one's own often ask for none, and the client insists on one


class ModelEndpoints:
    """Clients by the name that templates use; the empty name is Groq's."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
        key = settings.groq_api_key.get_secret_value()
        self._clients = {"": _client(settings.groq_base_url + "/openai/v1", key)}
        for name, url in read_endpoints(settings.model_endpoints).items():
            variable = f"OUTDIAL_MODEL_KEY_{name.upper().replace('-', '_')}"
            self._clients[name] = _client(url, environment.get(variable, "") or _NO_KEY)

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
    return AsyncOpenAI(
        api_key=key,
        base_url=url,
        timeout=Timeout(ANSWER_SECONDS, connect=_CONNECT_SECONDS),
        max_retries=0,  # the route asks the next one instead
    )
