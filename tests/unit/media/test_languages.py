"""A template's language reaches who hears, who speaks, and what is said without the model."""

import dataclasses
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from outdial.domain.call_template import Agent, CallTemplate, ServiceChoice, Voice
from outdial.domain.errors import InvalidInput
from outdial.domain.languages import DEEPGRAM_VOICES, SPOKEN, deepgram_language
from outdial.domain.phrases import PHRASES, Phrases, phrases_for
from outdial.operations.conversation_record import ConversationBrief
from outdial.operations.parse_template import parse_template
from outdial.settings import Settings
from outdial_media.backchannel import backchannels
from outdial_media.instructions import system_instruction
from outdial_media.speech_services import SpeechServices
from outdial_media.unfinished import sounds_unfinished

pytestmark = pytest.mark.unit

AGENT = {"name": "Ada", "greeting": "Hello", "prompt": "Ask."}
HUME = {"service": "hume", "settings": {"voice": "v"}}


def parsed(language: str, **keys: Any) -> CallTemplate:
    return parse_template({"slug": "x", "agent": AGENT, "language": language, **keys})


def told(language: str, **keys: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        parsed(language, **keys)
    return {problem.field: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Phrases)])
def test_every_language_says_it_in_its_own_words(field: str) -> None:
    said = [getattr(phrases, field) for phrases in PHRASES.values()]
    assert all(one and all(one) for one in said)
    assert field in {"yes", "no"} or len(set(said)) == len(SPOKEN)
    assert len({len(one) for one in said if isinstance(one, tuple)}) <= 1


@pytest.mark.parametrize("tag", ["en-GB", "de", "es-419", "fr-CA", "it-IT", "nl-BE", "multi"])
def test_a_whole_template_in_a_language(tag: str) -> None:
    template, phrases = parsed(tag), phrases_for(tag)
    assert template.language == tag
    assert template.agent.idle.prompts == phrases.idle_prompts
    assert template.agent.idle.goodbye == phrases.idle_goodbye
    assert template.voice.tts == DEEPGRAM_VOICES.get(tag[:2], "aura-2-thalia-en")
    brief = ConversationBrief(uuid4(), 1, "+33123456789", template, answered_at=datetime.now(UTC))
    instruction = system_instruction(brief, "noon")
    assert (f"Speak {phrases.name}" in instruction) is (phrases.name != "English")


def test_a_variable_that_is_true_is_a_yes_in_the_language() -> None:
    template = parsed("fr", agent={**AGENT, "greeting": "Membre : {{member}}, {{paid}}."})
    values = {"member": True, "paid": False}
    brief = ConversationBrief(uuid4(), 1, "+33123456789", template, values)
    assert brief.greeting == "Membre : oui, non."


def test_its_own_words_come_first() -> None:
    idle = {"prompts": ["Oui ?"], "seconds": 3}
    template = parsed("fr", agent={**AGENT, "idle": idle}, voice={"tts": "aura-2-hector-fr"})
    assert template.agent.idle.prompts == ("Oui ?",)
    assert template.agent.idle.goodbye == phrases_for("fr").idle_goodbye
    assert template.voice.tts == "aura-2-hector-fr"


def test_a_language_that_deepgram_does_not_speak_needs_another_voice() -> None:
    assert parsed("pt-BR", voice={"tts": HUME}).agent.idle.prompts[0].startswith("Alô")
    problems = told("pt-BR")
    assert list(problems) == ["voice.tts"]
    assert "nor does any voice of Deepgram's: name another service" in problems["voice.tts"]


@pytest.mark.parametrize(
    ("voice", "field", "message"),
    [
        ({"tts": "aura-2-thalia-en"}, "voice.tts", "does not speak fr: name a voice like aura-2-"),
        ({"second_tts": "aura-asteria-en"}, "voice.second_tts", "aura-asteria-en does not speak"),
        ({"tts": 3}, "voice.tts", "must be a valid string"),
        (3, "voice", "must be a mapping"),
    ],
)
def test_what_does_not_speak_it_is_refused(voice: object, field: str, message: str) -> None:
    problems = told("fr-FR", voice=voice)
    assert list(problems) == [field]
    assert message in problems[field]


def test_many_languages_may_have_any_voice() -> None:
    assert parsed("multi", voice={"tts": "aura-2-celeste-es"}).voice.tts == "aura-2-celeste-es"
    assert parsed("fr", voice={"tts": "our-own-model"}).voice.tts == "our-own-model"


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("sv-SE", "de, en, es, fr, it, nl, pt have"),
        ("xx", "docs/templates.md"),
        ("no!", "must be a language tag"),
    ],
)
def test_one_without_words_is_refused_at_upload(tag: str, message: str) -> None:
    problems = told(tag)
    assert list(problems) == ["language"]
    assert message in problems["language"]


@pytest.mark.parametrize(
    ("tag", "heard"),
    [("fr-FR", "fr"), ("fr-ca", "fr-CA"), ("de-AT", "de"), ("pt-BR", "pt-BR"), ("multi", "multi")],
)
def test_deepgram_is_told_what_it_knows(tag: str, heard: str) -> None:
    assert deepgram_language(tag) == heard


@pytest.mark.parametrize(
    ("tag", "listens", "answers", "pauses", "ends"),
    [
        ("fr", "Oui, d'accord.", "Non.", "mon numéro est", "oui, c'est moi"),
        ("it", "Sì, ho capito.", "No.", "il mio numero è", "sì, sono io"),
        ("pt", "Tá bom.", "Não.", "o meu número é", "é"),
        ("nl", "Ja, precies.", "Nee.", "mijn nummer is", "dat is het"),
    ],
)
def test_its_listeners_and_its_pauses(
    tag: str, listens: str, answers: str, pauses: str, ends: str
) -> None:
    assert backchannels(tag, None).holds_only(listens)
    assert not backchannels(tag, None).holds_only(answers)
    assert sounds_unfinished(pauses, tag)
    assert not sounds_unfinished(ends, tag)


@pytest.mark.parametrize("tag", SPOKEN)
def test_every_language_has_backchannels_and_unfinished_words(tag: str) -> None:
    known = backchannels(tag, None)
    assert known.holds_only("okay")
    assert not known.holds_only("mm-mm")  # a no
    assert any(sounds_unfinished(word, tag) for word in ("de", "del", "der", "the"))


async def test_it_reaches_recogniser_and_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTDIAL_VOICE_SECRET_OPENAI", "sk-1")
    services = SpeechServices(Settings(_env_file=None, groq_api_key="g", deepgram_api_key="d"))
    agent = Agent("Ada", "Hallo.", "P")
    ours = CallTemplate("x", agent, language="de-CH")
    assert str(services.hearing(ours)._settings.language) == "de-CH"
    openai = ServiceChoice("openai")
    theirs = CallTemplate("x", agent, language="de-AT", voice=Voice(stt=openai, tts=openai))
    assert services.hearing(theirs)._settings.language == "de"  # what OpenAI calls it
    assert services.speaking(theirs)._settings.language
    await services.close()
