"""Models at endpoints of the operator's own: named by templates, set by the environment."""

from typing import Any

import pytest
from pydantic import ValidationError

from outdial.domain.call_template import Agent, CallTemplate, Voice
from outdial.domain.errors import InvalidInput
from outdial.operations.parse_template import parse_template
from outdial.settings import Settings, read_endpoints
from outdial_media.model_endpoints import ModelEndpoints
from outdial_media.model_route import NoModelAnswers
from outdial_media.speech_services import SpeechServices

pytestmark = pytest.mark.unit

NAMED = "vllm=http://10.0.0.5:8000/v1, other-one=https://api.example.com/v1"


def settings(endpoints: str = NAMED) -> Settings:
    return Settings(_env_file=None, groq_api_key="g", model_endpoints=endpoints)


def template(**voice: str) -> CallTemplate:
    return CallTemplate("x", Agent("Ada", "Hello.", "Talk."), voice=Voice(**voice))


async def test_an_endpoint_has_its_address_and_its_key_from_the_environment() -> None:
    endpoints = ModelEndpoints(settings(), {"OUTDIAL_MODEL_KEY_OTHER_ONE": "secret"})
    one, other = endpoints.endpoint("vllm", "qwen"), endpoints.endpoint("other-one", "gpt")
    assert one.client is not None
    assert other.client is not None
    assert str(one.client.base_url) == "http://10.0.0.5:8000/v1/"
    assert other.client.api_key == "secret"
    assert one.client.api_key != "secret"
    assert endpoints.endpoint("", "m").client is endpoints.groq
    await endpoints.close()


async def test_a_connection_outlives_a_turn_of_the_person() -> None:
    """openai's own are closed after 5 s: each reply of a quiet pod would begin with a handshake."""
    endpoints = ModelEndpoints(settings(), {})
    clients: list[Any] = [endpoints.groq, endpoints.endpoint("vllm", "qwen").client]
    for client in clients:
        assert client._client._transport._pool._keepalive_expiry >= 60
        assert client.timeout == client._client.timeout
        assert client.timeout.connect < client.timeout.read < 60, "the route asks the next one"
    await endpoints.close()


async def test_a_name_that_this_pod_does_not_know_is_told_when_it_is_asked() -> None:
    services = SpeechServices(settings(""))
    route = services.route(template(llm="qwen", llm_service="vllm"))
    with pytest.raises(NoModelAnswers, match="OUTDIAL_MODEL_ENDPOINTS of this pod names no 'vllm'"):
        await route.create(messages=[])
    await services.close()


async def test_a_template_may_name_a_second_model_elsewhere() -> None:
    services = SpeechServices(settings())
    named = template(llm="a", second_llm="b", second_llm_service="vllm")
    names = [endpoint.name for endpoint in services.route(named)._endpoints]
    assert names == ["a at api.groq.com", "b at 10.0.0.5"]
    await services.close()


@pytest.mark.parametrize("text", ["vllm", "vllm=10.0.0.5", "=http://x", "a=ftp://x"])
def test_addresses_that_are_none_are_refused_at_start(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        read_endpoints(text)
    with pytest.raises(ValidationError):
        settings(text)


@pytest.mark.parametrize(
    ("voice", "path"),
    [({"llm_service": "vllm"}, "voice.llm"), ({"second_llm_service": "v"}, "voice.second_llm")],
    ids=["first", "second"],
)
def test_a_service_without_a_model_is_a_problem_of_the_template(
    voice: dict[str, str], path: str
) -> None:
    body = {"slug": "x", "agent": {"name": "A", "greeting": "Hi.", "prompt": "P"}, "voice": voice}
    with pytest.raises(InvalidInput) as refused:
        parse_template(body)
    assert [problem.field for problem in refused.value.problems] == [path]


def test_patience_has_limits() -> None:
    body = {
        "slug": "x",
        "agent": {"name": "A", "greeting": "Hi.", "prompt": "P"},
        "patience": {"first_token_ms": 60000, "filler_after_ms": 1},
    }
    with pytest.raises(InvalidInput) as refused:
        parse_template(body)
    fields = {problem.field for problem in refused.value.problems}
    assert fields == {"patience.first_token_ms", "patience.filler_after_ms"}
