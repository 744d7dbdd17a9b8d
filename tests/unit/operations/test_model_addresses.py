"""Which models a worker asks when a pod has died, in what order, and with whose keys."""

import json
from typing import Any

import httpx
import pytest

from outdial.domain.call_template import ServiceChoice, Voice
from outdial.operations import hear_last_words
from outdial.operations.model_addresses import ModelAddress, ModelThere, models_without_pipecat
from outdial.settings import Settings

pytestmark = pytest.mark.unit

SETTINGS = Settings(
    _env_file=None,
    groq_api_key="g",
    groq_model="default",
    model_endpoints="vllm=http://10.0.0.5:8000/v1/",
)
KEYS = {"OUTDIAL_MODEL_KEY_VLLM": "v"}
GROQ = "https://api.groq.com/openai/v1"
VLLM = "http://10.0.0.5:8000/v1"


def asked(voice: Voice, settings: Settings = SETTINGS) -> list[tuple[str, str, str]]:
    found = models_without_pipecat(voice, settings, KEYS)
    return [(one.model, one.address.url, one.address.key) for one in found]


@pytest.mark.parametrize(
    ("voice", "models"),
    [
        (Voice(), [("default", GROQ, "g")]),
        (Voice(llm="one"), [("one", GROQ, "g"), ("default", GROQ, "g")]),
        (
            Voice(llm="qwen", llm_service="vllm"),
            [("qwen", VLLM, "v"), ("default", GROQ, "g")],
        ),
        (
            Voice(llm="one", second_llm="qwen", second_llm_service="vllm"),
            [("one", GROQ, "g"), ("qwen", VLLM, "v"), ("default", GROQ, "g")],
        ),
        (Voice(llm=ServiceChoice("anthropic")), [("default", GROQ, "g")]),
        (Voice(llm="x", llm_service="gone"), [("default", GROQ, "g")]),
    ],
    ids=["default", "groq", "endpoint", "second", "service of Pipecat", "name not set"],
)
def test_the_order_is_the_pods(voice: Voice, models: list[tuple[str, str, str]]) -> None:
    assert asked(voice) == models


def test_without_a_key_groq_is_not_asked() -> None:
    bare = Settings(_env_file=None, model_endpoints="vllm=http://10.0.0.5:8000/v1")
    assert asked(Voice(llm="qwen", llm_service="vllm"), bare) == [("qwen", VLLM, "v")]
    assert asked(Voice(), bare) == []


def test_keys_are_not_shown() -> None:
    assert "sk-1" not in repr(ModelAddress("http://x", "sk-1"))


async def test_the_next_model_answers_when_one_does_not_and_stays_first() -> None:
    requests: list[tuple[str, str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        model = json.loads(request.content)["model"]
        requests.append((model, str(request.url), request.headers.get("authorization", "")))
        if model == "dead":
            raise httpx.ConnectError("refused")
        if model == "ill":
            return httpx.Response(500)
        return httpx.Response(200, json={"choices": [{"message": {"content": "so"}}]})

    def there(model: str, key: str) -> ModelThere:
        return ModelThere(model, ModelAddress("http://models.example/v1", key))

    unheard: Any = hear_last_words._Unheard(
        None,  # type: ignore[arg-type]
        [],
        [],
        [there("dead", "d"), there("ill", ""), there("well", "w")],
    )
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        assert await hear_last_words._ask(client, unheard, []) == {"content": "so"}
        assert await hear_last_words._ask(client, unheard, []) == {"content": "so"}
        unheard.models[:] = [there("dead", ""), there("ill", "")]
        with pytest.raises(httpx.HTTPStatusError):
            await hear_last_words._ask(client, unheard, [])
    url = "http://models.example/v1/chat/completions"
    assert requests[:4] == [
        ("dead", url, "Bearer d"),
        ("ill", url, ""),
        ("well", url, "Bearer w"),
        ("well", url, "Bearer w"),
    ]
