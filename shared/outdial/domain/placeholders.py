"""Variables in a template's texts: `{{name}}`, spaces allowed inside the braces.

Every text that is spoken or prompted is filled here, and the same reading decides at import which
variables a lead must bring: what is accepted can be said.
"""

import re
from collections.abc import Iterator, Mapping

from outdial.domain.call_template import CallTemplate, HttpRequest, HttpTool
from outdial.domain.phrases import phrases_for

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")

CONTACT_VARIABLES: frozenset[str] = frozenset({"name", "phone"})
"""Filled from the contact who is called, when the lead's own variables do not name them."""


def names_in(text: str) -> frozenset[str]:
    """The variables that `text` asks for."""
    return frozenset(PLACEHOLDER.findall(text))


def malformed_in(text: str) -> str | None:
    """The first brace pair that is no placeholder, with what follows it; None if all are well."""
    rest = PLACEHOLDER.sub("", text)
    found = re.search(r"\{\{|\}\}", rest)
    return rest[found.start() : found.start() + 20] if found else None


def fill(text: str, values: Mapping[str, object], language: str = "") -> str:
    """`text` with every variable replaced; one without a value leaves nothing behind.

    Import refuses leads that lack a variable, so a missing one here is not said aloud as braces.
    True and false are yes and no in `language`; English for what no person hears.
    """
    return PLACEHOLDER.sub(lambda match: _spoken(values.get(match.group(1)), language), text)


def values_for(
    variables: Mapping[str, object], name: str | None, phone: str | None
) -> dict[str, object]:
    """What a template may name on a call to this contact; a variable of the lead comes first."""
    contact: dict[str, object] = {"name": name or "", "phone": phone or ""}
    return contact | {key: value for key, value in variables.items() if value not in (None, "")}


def texts_of(template: CallTemplate) -> dict[str, str]:
    """Every text of a template in which variables are filled, by its path."""
    agent = template.agent
    prompts = {f"agent.idle.prompts.{n}": text for n, text in enumerate(agent.idle.prompts)}
    return {
        "agent.greeting": agent.greeting,
        "agent.prompt": agent.prompt,
        **prompts,
        "agent.idle.goodbye": agent.idle.goodbye,
        "voicemail.script": template.voicemail.script,
        "transfer.whisper": template.transfer.whisper,
        "transfer.fallback": template.transfer.fallback,
    }


def request_texts(request: HttpRequest) -> dict[str, str]:
    """Every text of a request in which arguments and variables are filled, by its path."""
    body = request.body if request.body is not None else {}
    return {
        "url": request.url,
        **{f"headers.{name}": value for name, value in request.headers.items()},
        **dict(_texts_in(body, "body")),
        "filler": request.filler,
    }


def variables_of(template: CallTemplate) -> frozenset[str]:
    """The variables that a lead of this template must bring."""
    spoken = [names_in(text) for text in texts_of(template).values()]
    sent = [_variables_of_tool(tool) for tool in template.tools if isinstance(tool, HttpTool)]
    asked = [names_in(text) for text in request_texts(template.lookup.http).values()]
    wanted = frozenset[str]().union(*spoken, *sent) - template.lookup.variables.keys()
    return wanted.union(*asked)


def arguments_of(tool: HttpTool) -> frozenset[str]:
    """The arguments that a tool is called with: they come before variables of the same name."""
    properties = tool.parameters.get("properties")
    return frozenset(properties) if isinstance(properties, Mapping) else frozenset()


def _variables_of_tool(tool: HttpTool) -> frozenset[str]:
    texts = request_texts(tool.http).values()
    return frozenset().union(*(names_in(text) for text in texts)) - arguments_of(tool)


def _texts_in(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts_in(item, f"{path}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts_in(item, f"{path}.{number}")


def _spoken(value: object, language: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        phrases = phrases_for(language)
        return phrases.yes if value else phrases.no
    return str(value)
