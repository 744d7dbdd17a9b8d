"""The scripts that stand in for a language model's judgement: YAML files beside this one.

A script fits a conversation by the system prompt and the tools offered. Its rules are tried in
order, then those of `any.yaml`. A rule:

    heard: confirm | [confirm, agree]   what the person wants (scripts/intents.yaml); `nothing` was
                                        said, `unheard` by the recogniser, `unclear` to the model
    asked: are you happy with it        only if the agent has said this before
    at_most: 2                          only as long as this was not said so often
    say: ...                            words, with {question} {purpose} {agent} {opening} {heard}
    call: record_outcome                a tool; left out when it is not offered
    with: {status: confirmed}           its arguments (a list: the first that fits the tool)
    next: It comes {result.day}.        said when the tool has answered, and the call goes on
    then: Great, thank you. Goodbye.    said when the tool has answered, and the call is ended
    otherwise: ...                      said instead when the tool is not offered
    end: true                           end the call after `say`
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

_INTENTS = "intents.yaml"
_ANY = "any.yaml"
_RULE_KEYS = {
    "heard",
    "asked",
    "at_most",
    "say",
    "call",
    "with",
    "next",
    "then",
    "otherwise",
    "end",
}


class ScriptError(Exception):
    """A script file does not say what a script can say."""


@dataclass(frozen=True)
class Rule:
    """One line of a script; the module's docstring says what each part means."""

    heard: tuple[str, ...]
    asked: str = ""
    at_most: int | None = None
    say: str = ""
    call: str = ""
    arguments: tuple[Mapping[str, Any], ...] = ()
    next: str = ""
    then: str = ""
    otherwise: str = ""
    end: bool = False


@dataclass(frozen=True)
class Script:
    """What is said and done in one kind of call."""

    name: str
    rules: tuple[Rule, ...]
    question: str = ""
    purpose: str = ""
    prompt_has: tuple[str, ...] = ()
    outcome_has: tuple[str, ...] = field(default=())

    def fits(self, prompt: str, outcome_properties: frozenset[str]) -> bool:
        """Whether it is for this prompt and this outcome schema."""
        told = prompt.lower()
        return all(word in told for word in self.prompt_has) and (
            outcome_properties.issuperset(self.outcome_has)
        )


@cache
def load_scripts() -> tuple[Script, ...]:
    """Every call type's script, then the one that fits any call."""
    folder = resources.files(__package__) / "scripts"
    names = sorted(f.name for f in folder.iterdir() if f.name.endswith(".yaml"))
    own = [name for name in names if name not in (_INTENTS, _ANY)]
    return tuple(
        _script(name, yaml.safe_load((folder / name).read_text())) for name in (*own, _ANY)
    )


@cache
def load_intents() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """(intent, pattern) in the order in which they are tried."""
    text = (resources.files(__package__) / "scripts" / _INTENTS).read_text()
    return tuple(
        (intent, re.compile(pattern))
        for intent, patterns in yaml.safe_load(text).items()
        for pattern in patterns
    )


def _script(name: str, data: Mapping[str, Any]) -> Script:
    return Script(
        name=name.removesuffix(".yaml"),
        rules=tuple(_rule(name, rule) for rule in data["rules"]),
        question=data.get("question", ""),
        purpose=data.get("purpose", ""),
        prompt_has=tuple(data.get("prompt_has", ())),
        outcome_has=tuple(data.get("outcome_has", ())),
    )


def _rule(name: str, data: Mapping[str, Any]) -> Rule:
    unknown = set(data) - _RULE_KEYS
    if unknown or "heard" not in data:
        raise ScriptError(f"{name}: a rule needs `heard` and knows no {sorted(unknown)}")
    heard, arguments = data["heard"], data.get("with", ())
    return Rule(
        heard=tuple(heard) if isinstance(heard, list) else (heard,),
        asked=data.get("asked", ""),
        at_most=data.get("at_most"),
        say=data.get("say", ""),
        call=data.get("call", ""),
        arguments=(arguments,) if isinstance(arguments, dict) else tuple(arguments),
        next=data.get("next", ""),
        then=data.get("then", ""),
        otherwise=data.get("otherwise", ""),
        end=bool(data.get("end", False)),
    )
