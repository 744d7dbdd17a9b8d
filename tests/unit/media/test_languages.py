"""A template's language reaches who hears, who speaks, and what is said without the model."""

import pytest

from outdial.domain.call_template import Agent, CallTemplate, ServiceChoice, Voice
from outdial.domain.errors import InvalidInput
from outdial.domain.languages import SPOKEN
from outdial.operations.parse_template import parse_template
from outdial.settings import Settings
from outdial_media.phrases import _PHRASES, phrases_for
from outdial_media.speech_services import SpeechServices

pytestmark = pytest.mark.unit

AGENT = {"name": "Ada", "greeting": "Hello", "prompt": "Ask."}


def test_what_can_be_uploaded_has_phrases_and_the_other_way_round() -> None:
    assert set(SPOKEN) == set(_PHRASES)
    assert len({phrases_for(tag).goodbye for tag in SPOKEN}) == len(SPOKEN)


@pytest.mark.parametrize("tag", ["en-GB", "de", "es-419", "multi"])
def test_a_language_with_phrases_is_taken(tag: str) -> None:
    assert parse_template({"slug": "x", "agent": AGENT, "language": tag}).language == tag


@pytest.mark.parametrize(
    ("tag", "told"),
    [("fr-FR", "de, en, es have"), ("xx", "docs/templates.md"), ("no!", "must be a language tag")],
)
def test_one_without_them_is_refused_at_upload(tag: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_template({"slug": "x", "agent": AGENT, "language": tag})
    (problem,) = caught.value.problems
    assert problem.field == "language"
    assert told in problem.message


async def test_it_reaches_recogniser_and_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTDIAL_VOICE_SECRET_OPENAI", "sk-1")
    services = SpeechServices(Settings(_env_file=None, groq_api_key="g", deepgram_api_key="d"))
    agent = Agent("Ada", "Hallo.", "P")
    ours = CallTemplate("x", agent, language="de-AT")
    assert str(services.hearing(ours)._settings.language) == "de-AT"
    openai = ServiceChoice("openai")
    theirs = CallTemplate("x", agent, language="de-AT", voice=Voice(stt=openai, tts=openai))
    assert services.hearing(theirs)._settings.language == "de"  # what OpenAI calls it
    assert services.speaking(theirs)._settings.language
    await services.close()
