"""Services of Pipecat that a template may name beside Deepgram and Groq, and what a pod must have.

The gateway has no Pipecat: it knows the short names (of pipecat 1.14, held together by a test) and
the form. A pod that can do what a template asks carries the label of its `voice`; calls go to such
pods only, so that nobody is rung for a call that could not be held.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Literal

from outdial.domain.call_template import CallTemplate, Pods, ServiceChoice, Voice
from outdial.domain.errors import FieldProblem

Kind = Literal["stt", "llm", "tts"]

READY = "ready"
"""What the label of a `voice` says on a pod that has all of it; else it says what is missing."""

LABEL_PREFIX = "voice."


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SHORT_NAMES: dict[Kind, frozenset[str]] = {
    "stt": _names(
        "assemblyai aws azure cartesia deepgram elevenlabs fal funasr gladia google gradium groq "
        "meta mistral moonshine nvidia openai sarvam smallest soniox speechmatics together whisper "
        "xai zoom_ai"
    ),
    "llm": _names(
        "anthropic aws azure baseten cerebras crusoe deepseek fireworks google groq inception "
        "mistral nebius novita nvidia ollama openai openrouter perplexity qwen sambanova sarvam "
        "smallest together xai"
    ),
    "tts": _names(
        "asyncai aws azure bland camb cartesia deepgram elevenlabs fish google gradium groq hume "
        "inworld kokoro minimax mistral neuphonic nvidia openai piper pocket_tts resembleai rime "
        "sarvam smallest soniox speechify speechmatics together xai xtts"
    ),
}

KINDS: dict[str, Kind] = {
    "stt": "stt",
    "llm": "llm",
    "tts": "tts",
    "second_llm": "llm",
    "second_tts": "tts",
}
"""What each key of `voice` that may name a service names."""

SECRET = re.compile(r"secret:((?![A-Z0-9_]*_(?:FILE|SERVICES)$)[A-Z][A-Z0-9_]{0,63})")
"""A setting that comes from the pods' environment: OUTDIAL_VOICE_SECRET_<NAME>."""

_CLASS = re.compile(r"pipecat\.services(\.[a-z][a-z0-9_]*){1,5}\.[A-Z][A-Za-z0-9]*")
_SETTING = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FROM_ENVIRONMENT = re.compile(
    r"(^|_)(key|token|secret|password|credentials?|auth|headers?"
    r"|urls?|uri|endpoint|host|server|address|path|file|dir|directory)(_|$)"
)
_HARMLESS = re.compile(r"key_?terms?(_\w+)?")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|^/|\.\.")
_MOST_SETTINGS, _LONGEST = 40, 2000


def chosen(voice: Voice) -> dict[str, ServiceChoice]:
    """The services that a template names, by the key of `voice`."""
    return {key: value for key in KINDS if isinstance(value := getattr(voice, key), ServiceChoice)}


def voice_label(voice: Voice) -> str:
    """The label of pods that have all that `voice` needs; empty when every pod has it."""
    needs: dict[str, object] = {key: asdict(choice) for key, choice in chosen(voice).items()}
    if voice.noise_filter:
        needs["noise_filter"] = voice.noise_filter
    if not needs:
        return ""
    text = json.dumps(needs, sort_keys=True)
    return LABEL_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:16]


def pods_of(template: CallTemplate) -> Pods:
    """Which pods may hold a template's calls: what it says, and none that lacks its services.

    Labels that are mere wishes (`spill`) give way to the one that is not.
    """
    label = voice_label(template.voice)
    if not label:
        return template.pods
    labels = {} if template.pods.spill else template.pods.labels
    return replace(template.pods, labels={**labels, label: READY}, spill=False)


def voice_problems(voice: Voice) -> Iterator[FieldProblem]:
    """What does not hold in the services that a template names, each with its path."""
    for key, choice in chosen(voice).items():
        at = f"voice.{key}"
        if problem := name_problem(KINDS[key], choice.service):
            yield FieldProblem(f"{at}.service", problem)
        yield from _settings(choice.settings, f"{at}.settings")
    for key in ("llm", "second_llm"):
        if isinstance(getattr(voice, key), ServiceChoice) and getattr(voice, f"{key}_service"):
            yield FieldProblem(f"voice.{key}_service", f"{key} names its service itself")


def name_problem(kind: Kind, name: str) -> str:
    """Why a name cannot be a service's; empty if it can."""
    known = SHORT_NAMES[kind]
    if name in known or _CLASS.fullmatch(name):
        return ""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    nearest = f"did you mean {close[0]}? " if close else ""
    return (
        f"is no {kind} service of Pipecat: {nearest}Known are {', '.join(sorted(known))}, or a "
        "class like pipecat.services.cartesia.tts.CartesiaHttpTTSService"
    )


def _settings(settings: Mapping[str, object], at: str) -> Iterator[FieldProblem]:
    if len(settings) > _MOST_SETTINGS:
        yield FieldProblem(at, f"must be {_MOST_SETTINGS} at most")
    if len(json.dumps(settings)) > _LONGEST:
        yield FieldProblem(at, f"must be {_LONGEST} characters at most, as JSON")
    for name, value in settings.items():
        yield from _setting(name, value, f"{at}.{name}", nested=False)


def _setting(name: str, value: object, at: str, *, nested: bool) -> Iterator[FieldProblem]:
    if not _SETTING.fullmatch(name) and not nested:
        yield FieldProblem(at, "is no name of a setting: a-z, 0-9 and _")
    elif _hides_something(name, value):
        # A template may neither hold a key nor say where a key of the deployment is sent.
        yield FieldProblem(
            at,
            "must be secret:NAME: keys, addresses and files come from the pods' environment "
            "(OUTDIAL_VOICE_SECRET_NAME)",
        )
    elif isinstance(value, Mapping):
        for inner, item in value.items():
            yield from _setting(str(inner), item, f"{at}.{inner}", nested=True)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _setting(name, item, f"{at}.{number}", nested=True)
    elif (
        isinstance(value, str)
        and value.startswith("secret:")
        and (nested or not SECRET.fullmatch(value))
    ):
        yield FieldProblem(at, "must be secret:NAME, with NAME in capitals, not inside a value")


def _hides_something(name: str, value: object) -> bool:
    """Whether a setting holds a key, an address or a file, and does not take it by its name."""
    if isinstance(value, bool | int | float) or value is None:
        return False
    if isinstance(value, str):
        if value.startswith("secret:"):
            return False
        if _ADDRESS.search(value):
            return True
    return bool(_FROM_ENVIRONMENT.search(name)) and not _HARMLESS.fullmatch(name)
