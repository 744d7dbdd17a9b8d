"""What a template's language decides: the words and the voice that it does not name itself.

They are filled in at upload and stored, so that a version says the same for ever.
"""

from collections.abc import Iterator, Mapping

from outdial.domain.call_template import CallTemplate
from outdial.domain.errors import FieldProblem
from outdial.domain.languages import (
    DEEPGRAM_VOICES,
    SPOKEN,
    first_part,
    language_problem,
    voice_problem,
)
from outdial.domain.phrases import phrases_for


def in_its_language(value: Mapping[str, object]) -> dict[str, object]:
    """The document of a template with its language's own words where it has none."""
    template = dict(value)
    language = template.get("language")
    if not isinstance(language, str) or first_part(language) not in SPOKEN:
        return template
    phrases = phrases_for(language)
    idle = {"prompts": list(phrases.idle_prompts), "goodbye": phrases.idle_goodbye}
    agent = template.get("agent")
    if isinstance(agent, Mapping):
        template["agent"] = {**agent, "idle": _filled(agent.get("idle", {}), idle)}
    voice = DEEPGRAM_VOICES.get(first_part(language))
    if voice is not None:
        template["voice"] = _filled(template.get("voice", {}), {"tts": voice})
    return template


def language_problems(template: CallTemplate) -> Iterator[FieldProblem]:
    """Whether the language has words, and the voices speak it."""
    if problem := language_problem(template.language):
        yield FieldProblem("language", problem)
        return
    for key in ("tts", "second_tts"):
        voice = getattr(template.voice, key)
        if isinstance(voice, str) and (problem := voice_problem(template.language, voice)):
            yield FieldProblem(f"voice.{key}", problem)


def _filled(given: object, own: Mapping[str, object]) -> object:
    """`given` with `own` for what it leaves out; a wrong shape is told of by who reads it."""
    return {**own, **given} if isinstance(given, Mapping) else given
