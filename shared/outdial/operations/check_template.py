"""What must hold in a template beyond the shapes of its values."""

import re
from collections.abc import Iterator
from datetime import date, time
from itertools import chain

from outdial.domain.call_outcome import Outcome
from outdial.domain.call_template import CallTemplate, Hours, Retry, Voice
from outdial.domain.errors import FieldProblem
from outdial.domain.holidays import CALENDARS
from outdial.domain.jurisdictions import JURISDICTIONS
from outdial.domain.placeholders import malformed_in, texts_of
from outdial.domain.voice_services import voice_problems
from outdial.operations.check_lookup import lookup_problems
from outdial.operations.check_schema import schema_problems
from outdial.operations.check_tools import tool_problems
from outdial.operations.template_language import language_problems

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*|multi")
_WINDOW = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_MAX_PROMPT, _MAX_SPOKEN = 20_000, 2_000


def problems_of(template: CallTemplate) -> list[FieldProblem]:
    """Everything that does not hold, each with its path."""
    parts = (_texts, _numbers, _choices, _schema, tool_problems, lookup_problems)
    return list(chain.from_iterable(part(template) for part in parts))


def _texts(t: CallTemplate) -> Iterator[FieldProblem]:
    if not SLUG.fullmatch(t.slug):
        yield FieldProblem("slug", "must be 1-64 of a-z, 0-9, - and _, like order-follow-up")
    if not _LANGUAGE.fullmatch(t.language):
        yield FieldProblem("language", "must be a language tag like en-US")
    else:
        yield from language_problems(t)
    if not t.agent.name.strip():
        yield FieldProblem("agent.name", "must not be empty")
    if t.agent.first_turn == "agent" and not t.agent.greeting.strip():
        yield FieldProblem("agent.greeting", "must not be empty: the agent speaks first")
    if not t.agent.prompt.strip():
        yield FieldProblem("agent.prompt", "must not be empty")
    if t.voicemail.mode == "leave_message" and not t.voicemail.script.strip():
        yield FieldProblem("voicemail.script", "must not be empty: the mode is leave_message")
    for path, text in texts_of(t).items():
        if (found := malformed_in(text)) is not None:
            yield FieldProblem(path, f"has a brace pair that is no variable, near {found!r}")
        longest = _MAX_PROMPT if path == "agent.prompt" else _MAX_SPOKEN
        if len(text) > longest:
            yield FieldProblem(path, f"is longer than {longest} characters")


def _numbers(t: CallTemplate) -> Iterator[FieldProblem]:
    ranges: list[tuple[str, float | None, float, float]] = [
        ("agent.max_minutes", t.agent.max_minutes, 0.1, 120),
        ("agent.idle.seconds", t.agent.idle.seconds, 1, 60),
        ("transfer.timeout_seconds", t.transfer.timeout_seconds, 5, 600),  # what Twilio takes
        ("amd.timeout_seconds", t.amd.timeout_seconds, 3, 59),  # what Twilio takes
        ("turns.vad_threshold", t.turns.vad_threshold, 0.05, 0.95),
        ("turns.start_ms", t.turns.start_ms, 0, 2000),
        ("turns.silence_ms", t.turns.silence_ms, 50, 5000),
        ("turns.smart_turn_max_ms", t.turns.smart_turn_max_ms, 50, 10_000),
        ("turns.backchannel_ms", t.turns.backchannel_ms, 200, 3000),
        ("patience.first_token_ms", t.patience.first_token_ms, 300, 8000),
        ("patience.first_audio_ms", t.patience.first_audio_ms, 300, 8000),
        ("patience.filler_after_ms", t.patience.filler_after_ms, 500, 8000),
        ("retry.max_retries", t.retry.max_retries, 0, 50),
        ("retry.per_contact", t.retry.per_contact, 1, 50),
        ("retry.window_hours", t.retry.window_hours, 0.01, 24 * 365),
        ("retry.max_callback_days", t.retry.max_callback_days, 1, 365),
        ("limits.attempts_per_day", t.limits.attempts_per_day, 1, 100),
        ("limits.attempts_per_week", t.limits.attempts_per_week, 1, 500),
        ("limits.rest_days_after_conversation", t.limits.rest_days_after_conversation, 0, 365),
    ]
    cooldowns = vars(t.retry.cooldowns).items()
    ranges += [(f"retry.cooldowns.{name}", seconds, 0, 30 * 86400) for name, seconds in cooldowns]
    for path, value, least, most in ranges:
        if value is not None and not least <= value <= most:
            yield FieldProblem(path, f"must be between {least:.10g} and {most:.10g}")
    if len(t.agent.idle.prompts) > 2:  # a third prompt into silence only annoys
        yield FieldProblem("agent.idle.prompts", "must be two at most")


def _choices(t: CallTemplate) -> Iterator[FieldProblem]:
    yield from _models(t.voice)
    yield from voice_problems(t.voice)
    yield from _retry(t.retry)
    yield from hours_problems(t.hours)


def _models(voice: Voice) -> Iterator[FieldProblem]:
    if voice.llm_service and not voice.llm:
        yield FieldProblem("voice.llm", "must name the model that llm_service is asked for")
    if voice.second_llm_service and not voice.second_llm:
        yield FieldProblem("voice.second_llm", "must name the model of second_llm_service")


def _retry(retry: Retry) -> Iterator[FieldProblem]:
    known = {str(outcome) for outcome in Outcome}
    for path, words in (
        ("retry.next_contact_on", retry.next_contact_on),
        ("retry.finish_on", retry.finish_on),
    ):
        for number, word in enumerate(words):
            if word not in known:
                yield FieldProblem(
                    f"{path}.{number}", f"must be an outcome: {', '.join(sorted(known))}"
                )
    if both := sorted(set(retry.next_contact_on) & set(retry.finish_on)):
        yield FieldProblem("retry.finish_on", f"names {both[0]}, as next_contact_on does")


def hours_problems(hours: Hours) -> Iterator[FieldProblem]:
    """What does not hold in hours, with its path."""
    for day, windows in hours.weekdays.items():
        if day not in WEEKDAYS:
            yield FieldProblem(f"hours.weekdays.{day}", f"must be one of {', '.join(WEEKDAYS)}")
        for number, window in enumerate(windows):
            if not _is_window(window):
                yield FieldProblem(
                    f"hours.weekdays.{day}.{number}", "must be like 09:00-17:30, the end later"
                )
    for number, day in enumerate(hours.closed_dates):
        try:
            date.fromisoformat(day)
        except ValueError:
            yield FieldProblem(f"hours.closed_dates.{number}", "must be a date like 2026-12-25")
    for path, names, known in (
        ("hours.holidays", hours.holidays, sorted(CALENDARS)),
        ("hours.jurisdictions", hours.jurisdictions, sorted(JURISDICTIONS)),
    ):
        for number, name in enumerate(names):
            if name not in known:
                yield FieldProblem(f"{path}.{number}", f"must be one of {', '.join(known)}")
    if not 0 <= hours.spread_minutes <= 240:
        yield FieldProblem("hours.spread_minutes", "must be between 0 and 240")


def _is_window(window: str) -> bool:
    """`24:00` may end a day."""
    found = _WINDOW.fullmatch(window)
    if not found:
        return False
    h1, m1, h2, m2 = (int(part) for part in found.groups())
    try:
        start = time(h1, m1)
        return (h2, m2) == (24, 0) or start < time(h2, m2)
    except ValueError:
        return False


def _schema(t: CallTemplate) -> Iterator[FieldProblem]:
    yield from schema_problems("outcome_schema", t.outcome_schema)
