"""Languages in which a call can be held, and what Deepgram and Twilio call them.

A template's language is a BCP 47 tag like `fr-CA`. Deepgram and Twilio know some regions of each
and refuse others, so each is told the nearest that it knows.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from outdial.domain.phrases import PHRASES

SPOKEN: tuple[str, ...] = tuple(sorted(PHRASES))
"""Those that have the sentences which no template brings."""

# Of nova-3 (nova-2 has the same), beside the languages themselves:
# https://developers.deepgram.com/docs/models-languages-overview
_HEARD_REGIONS = (
    *("de-CH", "en-AU", "en-GB", "en-IN", "en-NZ", "en-US", "es-419"),
    *("fr-CA", "nl-BE", "pt-BR", "pt-PT", "multi"),
)

# Aura-2 has no Portuguese: https://developers.deepgram.com/docs/tts-models
DEEPGRAM_VOICES: dict[str, str] = {
    "de": "aura-2-viktoria-de",
    "en": "aura-2-thalia-en",
    "es": "aura-2-celeste-es",
    "fr": "aura-2-agathe-fr",
    "it": "aura-2-livia-it",
    "nl": "aura-2-rhea-nl",
}
"""What speaks when a template of the language names no voice."""

_DEEPGRAM_VOICE = re.compile(r"aura(?:-2)?-[a-z]+-([a-z]{2})")

# The default voice knows few of them, and a pair that does not fit says nothing at all:
# https://www.twilio.com/docs/voice/twiml/say/text-speech. The first of a language is for all
# regions that are not here.
_CARRIER_VOICES: dict[str, str] = {
    "de-DE": "Polly.Marlene",
    "en-US": "Polly.Joanna",
    "en-AU": "Polly.Nicole",
    "en-GB": "Polly.Amy",
    "en-IN": "Polly.Raveena",
    "es-ES": "Polly.Conchita",
    "es-MX": "Polly.Mia",
    "es-US": "Polly.Lupe",
    "fr-FR": "Polly.Celine",
    "fr-CA": "Polly.Chantal",
    "it-IT": "Polly.Carla",
    "nl-NL": "Polly.Lotte",
    "pt-BR": "Polly.Vitoria",
    "pt-PT": "Polly.Ines",
}
_LATIN_AMERICA = "es-419"


@dataclass(frozen=True)
class CarrierVoice:
    """The attributes of Twilio's `<Say>`."""

    language: str
    voice: str


def first_part(tag: str) -> str:
    """The language without its region."""
    return tag.partition("-")[0].lower()


def language_problem(tag: str) -> str:
    """Why a template cannot have this language; empty if it can. Only a tag's first part decides.

    `multi` lets the recogniser find out; what is said without the model is English then.
    """
    if first_part(tag) in SPOKEN or tag == "multi":
        return ""
    return (
        f"has no sentences of its own here (goodbyes, apologies, fillers): {', '.join(SPOKEN)} "
        "have; docs/templates.md says how a language is added"
    )


def voice_problem(tag: str, voice: str) -> str:
    """Why a voice of Deepgram's cannot speak this language; empty if it can, or is not known."""
    found, wanted = _DEEPGRAM_VOICE.fullmatch(voice), first_part(tag)
    if found is None or tag == "multi" or found.group(1) == wanted:
        return ""
    if wanted not in DEEPGRAM_VOICES:
        return (
            f"{voice} does not speak {wanted}, nor does any voice of Deepgram's: name another "
            "service (docs/templates.md)"
        )
    return f"{voice} does not speak {wanted}: name a voice like {DEEPGRAM_VOICES[wanted]}"


def deepgram_language(tag: str) -> str:
    """What Deepgram's recogniser is told: with the region where it knows that one."""
    return _named(tag, _HEARD_REGIONS) or first_part(tag)


def carrier_voice(tag: str) -> CarrierVoice:
    """How Twilio says a text of this language."""
    language = "es-MX" if tag == _LATIN_AMERICA else _named(tag, _CARRIER_VOICES)
    if not language:
        first = first_part(tag)
        language = next((one for one in _CARRIER_VOICES if first_part(one) == first), "en-US")
    return CarrierVoice(language, _CARRIER_VOICES[language])


def _named(tag: str, known: Iterable[str]) -> str:
    """`tag` as it is written there, whatever its case; empty if it is not."""
    return next((one for one in known if one.lower() == tag.lower()), "")
