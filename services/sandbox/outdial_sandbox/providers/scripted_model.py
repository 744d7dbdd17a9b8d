"""The language model's stand-in: a function from messages and tools to words and tool calls.

Deterministic, and without any other knowledge: it never learns the number dialed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from outdial_sandbox.providers.chat_history import History, Tool
from outdial_sandbox.providers.scripts import Rule, Script, load_scripts
from outdial_sandbox.providers.tool_arguments import choose, complete

_END = "end_call"
_OUTCOME = "record_outcome"
_MOST_FAILURES = 2
_NEGATIVE = ("decline",)


@dataclass(frozen=True)
class ToolCall:
    """A tool to call, with its arguments."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the model answers: words, tool calls, both or neither."""

    say: str = ""
    calls: tuple[ToolCall, ...] = ()


NO_REPLY = Reply()


def reply_to(history: History, now: datetime | None = None) -> Reply:
    """The next move in this conversation. `now` is for "tomorrow"."""
    scripts = _scripts_for(history)
    rule = _rule_for(history, scripts)
    if rule is None:
        return NO_REPLY
    words = _Words(history, scripts, now or datetime.now(UTC))
    reply = _move(history, rule, words)
    if history.silent:
        # The person has left: no words, and no call to end.
        return Reply(calls=tuple(call for call in reply.calls if call.name != _END))
    if history.must_call and not reply.calls:
        return Reply(calls=_hang_up(history))
    return reply


def _scripts_for(history: History) -> list[Script]:
    outcome = history.tools.get(_OUTCOME)
    properties = frozenset(outcome.properties) if outcome else frozenset()
    return [script for script in load_scripts() if script.fits(history.prompt, properties)]


def _rule_for(history: History, scripts: list[Script]) -> Rule | None:
    intent = history.intent
    said = [text.lower() for text in history.said]
    for rule in (rule for script in scripts for rule in script.rules):
        asked = not rule.asked or any(rule.asked in text for text in said)
        if intent in rule.heard and asked and not _worn_out(rule, said):
            return rule
    return None


def _worn_out(rule: Rule, said: list[str]) -> bool:
    if rule.at_most is None:
        return False
    beginning = rule.say.split("{")[0].strip().lower()
    return sum(beginning in text for text in said) >= rule.at_most


def _move(history: History, rule: Rule, words: "_Words") -> Reply:
    if not rule.call:
        if history.ends_with_tool and not rule.end:
            return NO_REPLY  # somebody else's tool has answered; there is nothing to add
        return Reply(words.of(rule.say), _hang_up(history) if rule.end else ())
    tool = history.tools.get(rule.call)
    if rule.call in history.running:
        return NO_REPLY
    if tool is None or history.failed.get(rule.call, 0) >= _MOST_FAILURES:
        return Reply(words.of(rule.otherwise or rule.then), _hang_up(history))
    call = _call(history, rule, tool, words)
    # Once it has answered, it is called again only if the person has changed their mind.
    changed_mind = not history.ends_with_tool and history.called.get(rule.call) != call.arguments
    if rule.call in history.called and not changed_mind:
        return _after(history, rule, words)
    return Reply(calls=(call,))


def _call(history: History, rule: Rule, tool: Tool, words: "_Words") -> ToolCall:
    """The rule's tool call; after a failure, with arguments built from the schema alone."""
    asked = {} if rule.call in history.failed else choose(rule.arguments, tool.properties)
    arguments = {key: words.of(value) for key, value in asked.items()}
    if rule.then and "goodbye" in tool.properties:
        arguments["goodbye"] = words.of(rule.then)
    positive = not set(_NEGATIVE) & set(rule.heard)
    fitting = complete(arguments, tool.parameters, words.heard, positive=positive)
    return ToolCall(rule.call, fitting)


def _after(history: History, rule: Rule, words: "_Words") -> Reply:
    tool = history.tools.get(rule.call)
    if _has_ended(history):
        return NO_REPLY
    if tool is not None and "goodbye" in tool.properties:
        return NO_REPLY  # the goodbye went with the tool, which ends the call
    if rule.next:
        return Reply(words.of(rule.next))
    if not rule.then:
        return NO_REPLY
    return Reply(words.of(rule.then), _hang_up(history))


def _has_ended(history: History) -> bool:
    return _END in history.called or _END in history.running


def _hang_up(history: History) -> tuple[ToolCall, ...]:
    tool = history.tools.get(_END)
    if tool is None or _has_ended(history):
        return ()
    return (ToolCall(_END, complete({}, tool.parameters, "", positive=True)),)


class _Words:
    """Fills a script's {places}."""

    def __init__(self, history: History, scripts: list[Script], now: datetime) -> None:
        question = next((s.question for s in scripts if s.question), "")
        purpose = next((s.purpose for s in scripts if s.purpose), "")
        self.heard = " ".join(history.heard)
        opening = history.opening or (
            f"Hello, this is {history.agent}, an automated assistant. {purpose} {question}"
        )
        self._places = {
            "{question}": question,
            "{purpose}": purpose,
            "{agent}": history.agent,
            "{heard}": self.heard,
            **{f"{{result.{key}}}": str(value) for key, value in history.result.items()},
            "{tomorrow}": (now + timedelta(days=1)).isoformat(timespec="minutes"),
            "{opening}": opening,
            "{last}": _again(history.said[-1]) if history.said else opening,
        }

    def of(self, text: Any) -> Any:
        """The text with its places filled; other values as they are."""
        if not isinstance(text, str):
            return text
        for place, value in self._places.items():
            text = text.replace(place, value)
        return text


def _again(text: str) -> str:
    """What was said last, as it is said again: without the "of course" of the time before."""
    return text.removeprefix("Of course. ").rstrip("…").strip()
