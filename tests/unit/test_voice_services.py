"""Services of Pipecat in a template: what may be named, and what is refused at upload."""

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

from outdial.domain.call_template import Agent, CallTemplate, Pods, ServiceChoice, Voice
from outdial.domain.errors import InvalidInput
from outdial.domain.voice_services import (
    SHORT_NAMES,
    Kind,
    name_problem,
    pods_of,
    voice_label,
)
from outdial.operations.parse_template import body_of, parse_template, template_of

pytestmark = pytest.mark.unit

AGENT = {"name": "Ada", "greeting": "Hello", "prompt": "Ask."}


def parsed(**voice: Any) -> CallTemplate:
    return parse_template({"slug": "x", "agent": AGENT, "voice": voice})


def problems(**voice: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        parsed(**voice)
    return {problem.field: problem.message for problem in caught.value.problems}


def test_services_and_bare_names_are_read_and_stored() -> None:
    template = parsed(
        stt={"service": "assemblyai", "settings": {"api_key": "secret:EARS"}},
        llm={"service": "pipecat.services.anthropic.llm.AnthropicLLMService"},
        tts="aura-2-apollo-en",
    )
    assert template.voice.stt == ServiceChoice("assemblyai", {"api_key": "secret:EARS"})
    assert template.voice.tts == "aura-2-apollo-en"
    assert template_of(body_of(template)) == template


@pytest.mark.parametrize(
    ("voice", "field", "told"),
    [
        ({"stt": {"service": "assembly"}}, "voice.stt.service", "did you mean assemblyai?"),
        ({"tts": {"service": "os.path"}}, "voice.tts.service", "is no tts service"),
        ({"tts": {"service": "outdial.x.Y"}}, "voice.tts.service", "is no tts service"),
        ({"llm": {"service": "pipecat.services..Y"}}, "voice.llm.service", "is no llm service"),
        ({"stt": {"servce": "azure"}}, "voice.stt.servce", "did you mean voice.stt.service?"),
        ({"stt": {}}, "voice.stt.service", "is missing"),
        ({"stt": 5}, "voice.stt", "string"),
        ({"tts": {"service": "rime", "settings": 3}}, "voice.tts.settings", "dictionary"),
        ({"llm": {"service": "groq"}, "llm_service": "v"}, "voice.llm_service", "itself"),
        ({"noise_filter": "krisp"}, "voice.noise_filter", "'rnnoise'"),
    ],
)
def test_mistakes_are_named(voice: dict[str, Any], field: str, told: str) -> None:
    assert told in problems(**voice)[field]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "sk-123"),
        ("api_key", "secret:lower"),
        ("base_url", "https://evil.example"),
        ("url", "secret"),
        ("region", "https://evil.example"),
        ("credentials_path", "/etc/passwd"),
        ("model", "/etc/passwd"),
        ("model", "../../x"),
        ("auth_token", "x"),
        ("extra", {"headers": {"Authorization": "x"}}),
        ("extra", {"voice": "secret:X"}),
        ("default_headers", {"a": "b"}),
        ("host", ["x"]),
    ],
)
def test_keys_addresses_and_files_come_from_the_environment(name: str, value: object) -> None:
    found = problems(tts={"service": "cartesia", "settings": {name: value}})
    assert all("secret:NAME" in message for message in found.values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "secret:CARTESIA"),
        ("base_url", "secret:CARTESIA_URL"),
        ("max_tokens", 100),
        ("keyterms_prompt", ["Outdial"]),
        ("voice", "71a7ad14-091c-4e8e-a314-022ece01c121"),
        ("extra", {"seed": 1}),
        ("use_auth_token", True),
    ],
)
def test_plain_settings_pass(name: str, value: object) -> None:
    parsed(tts={"service": "cartesia", "settings": {name: value}})


def test_calls_go_only_to_pods_that_have_all_of_a_voice() -> None:
    plain = parsed()
    assert voice_label(plain.voice) == ""
    assert pods_of(plain) == plain.pods
    tts = ServiceChoice("cartesia", {"voice": "a", "speed": 1})
    label = voice_label(Voice(tts=tts))
    assert label == voice_label(Voice(tts=ServiceChoice("cartesia", {"speed": 1, "voice": "a"})))
    assert label != voice_label(Voice(tts=ServiceChoice("cartesia", {"voice": "b"})))
    assert voice_label(Voice(noise_filter="rnnoise"))
    agent = Agent("Ada", "Hello", "Ask.")
    wishes = CallTemplate("x", agent, voice=Voice(tts=tts), pods=Pods({"zone": "eu"}))
    assert pods_of(wishes) == Pods({label: "ready"}, spill=False)
    strict = CallTemplate("x", agent, voice=Voice(tts=tts), pods=Pods({"zone": "eu"}, spill=False))
    assert pods_of(strict) == Pods({"zone": "eu", label: "ready"}, spill=False)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_short_names_are_those_of_the_pipecat_that_is_installed(kind: Kind) -> None:
    spec = find_spec("pipecat.services")
    assert spec is not None
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    suffix = {"stt": "STTService", "llm": "LLMService", "tts": "TTSService"}[kind]
    realtime = {"ultravox"}  # hears and speaks itself
    found = set()
    for file in root.glob(f"*/{kind}.py"):
        classes = [n for n in ast.parse(file.read_text()).body if isinstance(n, ast.ClassDef)]
        if any(one.name.endswith(suffix) for one in classes):
            found.add(file.parent.name)
    assert found - realtime == SHORT_NAMES[kind]
    assert not any(name_problem(kind, name) for name in found - realtime)
