"""Services by name: which class is meant, what it is made with, and what is told when it cannot."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from outdial.domain.call_template import Agent, CallTemplate, ServiceChoice, Voice
from outdial_media.foreign_services import ForeignServices
from outdial_media.pipecat_classes import ServiceProblem, service_class
from outdial_media.pipecat_services import arguments, read_secret

pytestmark = pytest.mark.unit

KEYS = {"OUTDIAL_VOICE_SECRET_OPENAI": "sk-1", "OUTDIAL_VOICE_SECRET_CARTESIA": "c-1"}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Pipecat writes of each missing extra to stderr."""
    logger.remove()
    yield
    logger.add(sys.stderr)


def made(kind: Any, service: str, **settings: object) -> dict[str, Any]:
    return arguments(kind, ServiceChoice(service, settings), "de-AT", KEYS)[1]


def refused(kind: Any, service: str, **settings: object) -> str:
    with pytest.raises(ServiceProblem) as caught:
        made(kind, service, **settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name", "cls"),
    [
        ("llm", "openai", "OpenAILLMService"),
        ("llm", "baseten", "BasetenLLMService"),
        ("tts", "cartesia", "CartesiaTTSService"),
        ("stt", "elevenlabs", "ElevenLabsSTTService"),
        ("tts", "inworld", "InworldTTSService"),
        ("tts", "pipecat.services.cartesia.tts.CartesiaHttpTTSService", "CartesiaHttpTTSService"),
    ],
)
def test_a_name_means_one_class(kind: Any, name: str, cls: str) -> None:
    assert service_class(kind, name).__name__ == cls


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("llm", "anthropic", 'pip install "pipecat-ai[anthropic]"'),
        ("tts", "pocket_tts", 'pip install "pipecat-ai[pocket-tts]"'),
        ("stt", "openay", "did you mean openai?"),
        ("llm", "pipecat.services.openai.tts.OpenAITTSService", "is no LLMService"),
        ("llm", "pipecat.services.openai.llm.OpenAILLMServce", "did you mean OpenAILLMService?"),
        (
            "llm",
            "pipecat.services.openai.realtime.llm.OpenAIRealtimeLLMService",
            "takes and gives speech",
        ),
        ("tts", "pipecat.services.tts_service.TTSService", "is no TTSService"),
        ("llm", "os.path.join", "is no service of Pipecat"),
        ("stt", "pipecat.services.openai.stt.OpenAISTTSettings", "is no STTService"),
    ],
)
def test_what_cannot_be_is_said(kind: Any, name: str, told: str) -> None:
    assert told in refused(kind, name)


def test_settings_reach_the_class_in_the_form_that_it_takes() -> None:
    given = made("tts", "openai", voice="nova", speed=1.2, base_url="secret:CARTESIA")
    assert given["settings"].voice == "nova"
    assert given["settings"].language == "de-AT"
    assert given["api_key"] == "sk-1"  # of the provider, when the settings name none
    assert given["base_url"] == "c-1"
    assert given["sample_rate"] == 24000  # the only one it knows
    assert made("tts", "cartesia", voice="v")["sample_rate"] == 8000
    assert made("tts", "openai", params={"voice": "nova"})["settings"].voice == "nova"


@pytest.mark.parametrize(
    ("kind", "name", "settings", "told"),
    [
        ("llm", "openai", {"modell": "x"}, "no setting modell; did you mean model?"),
        ("tts", "openai", {"speed": "fast"}, "speed does not fit"),
        ("tts", "openai", {"params": 3}, "params must be a mapping"),
        (
            "tts",
            "cartesia",
            {"generation_config": {"sped": 1}},
            "did you mean generation_config.speed?",
        ),
        ("tts", "elevenlabs", {}, "OUTDIAL_VOICE_SECRET_ELEVENLABS is not set on this pod"),
        ("tts", "openai", {"api_key": "secret:NONE"}, "OUTDIAL_VOICE_SECRET_NONE is not set"),
        ("stt", "openai", {"http_client": "x"}, "http_client"),
    ],
)
def test_settings_that_do_not_fit_are_named(
    kind: Any, name: str, settings: dict[str, object], told: str
) -> None:
    assert told in refused(kind, name, **settings)


def test_a_secret_may_be_a_file_and_belong_to_one_service(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("k-2\n")
    environment = {
        "OUTDIAL_VOICE_SECRET_A_FILE": str(file),
        "OUTDIAL_VOICE_SECRET_A_SERVICES": "rime, openai",
    }
    assert read_secret("A", "openai", environment) == "k-2"
    with pytest.raises(ServiceProblem, match="is not for cartesia"):
        read_secret("A", "cartesia", environment)


async def test_a_pod_says_what_a_template_lacks_here() -> None:
    foreign = ForeignServices(KEYS)

    async def problem(**voice: Any) -> str:
        template = CallTemplate("x", Agent("Ada", "Hi.", "P"), voice=Voice(**voice))
        return foreign.problem_of(template) or await foreign.problem_of_making(template)

    assert await problem() == ""
    assert await problem(llm=ServiceChoice("openai", {"model": "gpt-4.1"})) == ""
    told = await problem(tts=ServiceChoice("hume"))
    assert told.startswith("voice.tts: hume is not installed here")
    told = await problem(second_llm=ServiceChoice("openai", {"temprature": 1}))
    assert told.startswith("voice.second_llm: OpenAILLMService has no setting temprature")
    await foreign.close()
