"""A chat completion request, as the scripted model reads it: who said what, which tools ran."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outdial_sandbox.providers.scripts import load_intents

_NO_MORE_WORDS = re.compile(
    r"has hung up|hung up already|only tools|tools only|without words|no words"
)
_UNHEARD = re.compile(r"not recognized|not be understood|not understood|say it again|to repeat")
_EARLIER_CALLS = re.compile(r"\[\{.*\}\]", re.DOTALL)
_OPENING = re.compile(r"You opened the call by saying: (?P<quote>['\"])(?P<text>.*?)(?P=quote)\.? ")
_AGENT = re.compile(r"\b(?:You are|You're|[Mm]y name is|I am|I'm|Your name is) ([A-Z][a-z]+)\b")


@dataclass(frozen=True)
class Tool:
    """A tool that was offered, with the JSON Schema of its arguments."""

    name: str
    parameters: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        """The declared arguments."""
        properties = self.parameters.get("properties")
        return properties if isinstance(properties, Mapping) else {}


@dataclass(frozen=True)
class History:
    """What the model knows: the messages and the tools that it was sent, and nothing else."""

    prompt: str
    tools: Mapping[str, Tool]
    heard: tuple[str, ...]  # what the person said last, message by message
    said: tuple[str, ...]  # everything that the agent said
    called: Mapping[str, Mapping[str, Any]]  # tools that have answered, with their last arguments
    result: Mapping[str, Any]  # what the last tool answered
    failed: Mapping[str, int]  # tools that answered with an error, and how often
    running: frozenset[str]  # tools that have not answered yet
    ends_with_tool: bool
    unheard: bool  # the application says at the end that the person could not be understood
    silent: bool  # words are of no use any more, only tools are
    must_call: bool

    @property
    def agent(self) -> str:
        """The agent's name, as the prompt or its own first words give it."""
        found = _AGENT.search(self.prompt) or _AGENT.search(" ".join(self.said))
        return found.group(1) if found else "an assistant"

    @property
    def opening(self) -> str:
        """How the call was opened, if the prompt says so."""
        found = _OPENING.search(self.prompt + " ")
        return found.group("text") if found else ""

    @property
    def intent(self) -> str:
        """What the person wants: the most important of what they said last."""
        if self.unheard and not self.silent:
            return "unheard"
        if not self.heard:
            return "nothing"
        texts = [_plain(text) for text in (*self.heard, " ".join(self.heard))]
        for intent, pattern in load_intents():
            if any(pattern.search(text) for text in texts):
                return intent
        return "unclear"


def read_history(request: Mapping[str, Any]) -> History:
    """Read `messages`, `tools` and `tool_choice` of a request."""
    messages = [m for m in request.get("messages") or [] if isinstance(m, Mapping)]
    choice = request.get("tool_choice")
    prompt = "\n".join(_text(m) for m in messages if m.get("role") in ("system", "developer"))
    said = [_text(m) for m in messages if m.get("role") == "assistant" and _text(m)]
    answers = _tool_answers(messages)
    spoken = [m for m in messages if not _is_instruction(m)]
    return History(
        prompt=prompt,
        tools={} if choice == "none" else _tools(request.get("tools") or []),
        heard=tuple(_last_heard(spoken)),
        said=tuple(said),
        called=_calls_of_earlier(messages)
        | {a.tool: a.arguments for a in answers if _state(a.text) == "done"},
        result=_result(answers),
        failed=Counter(a.tool for a in answers if _state(a.text) == "failed"),
        running=frozenset(a.tool for a in answers if _state(a.text) == "running"),
        unheard=len(messages) > 1
        and _is_instruction(messages[-1])
        and bool(_UNHEARD.search(_text(messages[-1]).lower())),
        ends_with_tool=bool(spoken) and spoken[-1].get("role") == "tool",
        silent=any(_NO_MORE_WORDS.search(_text(m).lower()) for m in _instructions(messages)),
        must_call=choice == "required",
    )


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content.strip()
    parts = content if isinstance(content, list) else []
    texts = [str(p.get("text", "")) for p in parts if isinstance(p, Mapping)]
    return " ".join(texts).strip()


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9' -]", " ", text.lower()).split())


def _is_instruction(message: Mapping[str, Any]) -> bool:
    """System messages, and a user message that speaks as the application does."""
    return message.get("role") in ("system", "developer") or (
        message.get("role") == "user" and bool(_NO_MORE_WORDS.search(_text(message).lower()))
    )


def _instructions(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [m for m in messages if _is_instruction(m)]


def _last_heard(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """The person's words since the agent spoke or pressed keys; its other tools do not count."""
    heard: list[str] = []
    for message in reversed(messages):
        if message.get("role") == "user" and _text(message):
            heard.insert(0, _text(message))
        elif message.get("role") == "assistant" and heard and (_text(message) or _pressed(message)):
            break
    return heard


def _pressed(message: Mapping[str, Any]) -> bool:
    calls = message.get("tool_calls") or []
    return any((call.get("function") or {}).get("name") == "send_digits" for call in calls)


def _tools(offered: Sequence[Any]) -> dict[str, Tool]:
    functions = [t.get("function") or {} for t in offered if isinstance(t, Mapping)]
    return {f["name"]: Tool(f["name"], f.get("parameters") or {}) for f in functions if "name" in f}


def _calls_of_earlier(messages: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Tools that an instruction lists as called before, as JSON with `tool` and `arguments`."""
    calls: dict[str, Mapping[str, Any]] = {}
    for message in _instructions(messages)[1:]:
        found = _EARLIER_CALLS.search(_text(message))
        try:
            listed = json.loads(found.group()) if found else []
        except ValueError:
            continue
        calls |= {c["tool"]: c.get("arguments") or {} for c in listed if "tool" in c}
    return calls


@dataclass(frozen=True)
class _ToolAnswer:
    tool: str
    arguments: Mapping[str, Any]
    text: str


def _tool_answers(messages: Sequence[Mapping[str, Any]]) -> list[_ToolAnswer]:
    calls = {
        call.get("id"): call.get("function") or {}
        for message in messages
        for call in message.get("tool_calls") or []
    }
    answers = [
        (calls.get(m.get("tool_call_id"), {}), m) for m in messages if m.get("role") == "tool"
    ]
    return [_ToolAnswer(c.get("name", ""), _arguments(c), _text(m)) for c, m in answers]


def _arguments(call: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        arguments = json.loads(call.get("arguments") or "{}")
    except (ValueError, TypeError):
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _result(answers: Sequence[_ToolAnswer]) -> Mapping[str, Any]:
    try:
        result = json.loads(answers[-1].text) if answers else {}
    except ValueError:
        return {}
    return result if isinstance(result, dict) else {}


def _state(answer: str) -> str:
    if "IN_PROGRESS" in answer:
        return "running"
    if answer == "CANCELLED":
        return "canceled"  # the person interrupted: nobody knows what came of it
    try:
        result = json.loads(answer)
    except ValueError:
        return "done"
    return "failed" if isinstance(result, dict) and result.get("error") else "done"
