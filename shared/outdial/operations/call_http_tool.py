"""Run a tool of the template's own: one HTTP request, and its answer as the model is told it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import structlog

from outdial.domain.call_template import HttpAnswer, HttpRequest, HttpTool
from outdial.domain.json_path import at_path
from outdial.domain.placeholders import PLACEHOLDER, fill
from outdial.observability import traces
from outdial.operations.guarded_http import AddressRefused, GuardedHttp
from outdial.operations.tool_secrets import SecretMissing, fill_headers

_log = structlog.get_logger(__name__)

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_CUT = "…"


async def call_http_tool(
    http: GuardedHttp,
    tool: HttpTool,
    arguments: Mapping[str, Any],
    variables: Mapping[str, object],
) -> dict[str, Any]:
    """What the tool answered; `{"error": ...}` for everything that went wrong.

    `arguments` must fit the tool's parameters. They come before variables of the same name.
    """
    values = {**variables, **arguments}
    default = dict(arguments) if tool.http.method in _WITH_BODY else None
    try:
        told = _told(await ask(http, tool.http, values, default_body=default), tool.answer)
    except NoAnswer as error:
        told = {"error": str(error)}
    if "error" in told:
        _log.warning("http_tool_failed", tool=tool.name, reason=told["error"])
    return told


@dataclass(frozen=True)
class Answer:
    """What a service answered; the secrets that were sent to it are taken out of `text`."""

    status: int
    text: str


class NoAnswer(Exception):
    """There is none; the message says why, in words that anybody may read."""


async def ask(
    http: GuardedHttp,
    request: HttpRequest,
    values: Mapping[str, object],
    *,
    default_body: dict[str, Any] | None = None,
) -> Answer:
    """Send a template's request with `values` in their places.

    Raises:
        NoAnswer: it was not sent, or not answered in time and whole.

    """
    host = urlsplit(request.url).hostname or ""
    body = default_body if request.body is None else _filled(request.body, values)
    try:
        url = filled_url(request.url, values)
        headers = fill_headers(request.headers, values, host)
        with traces.span(request.method, kind="client") as span:
            span.set_standard("server.address", host)
            fetched = await http.fetch(
                request.method,
                url,
                headers={**traces.headers(), **headers.headers},
                json=body,
                seconds=request.timeout_seconds,
            )
            span.set_standard("http.response.status_code", fetched.status)
    except TimeoutError:
        raise NoAnswer(f"no answer within {request.timeout_seconds:g} seconds") from None
    except (AddressRefused, SecretMissing) as error:
        _log.error("http_request_refused", host=host, reason=str(error))
        raise NoAnswer("this is not set up") from None  # a model has no use for more
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise NoAnswer(f"it could not be reached: {type(error).__name__}") from None
    return Answer(fetched.status, headers.redact(fetched.body.decode("utf-8", errors="replace")))


def filled_url(url: str, values: Mapping[str, object]) -> str:
    """The URL with every value percent-encoded, so that none leaves its place.

    Raises:
        ValueError: a value would climb the path.

    """

    def encoded(text: str) -> str:
        if text in {".", ".."}:
            raise ValueError("a dot is no value in a path")
        return quote(text, safe="")

    return PLACEHOLDER.sub(lambda match: encoded(fill(match.group(), values)), url)


def picked(document: object, wanted: HttpAnswer) -> dict[str, Any]:
    """The fields that a template asks for, by paths like `order.lines.0.name`; null if missing."""
    if not wanted.fields:
        return {"answer": document}
    return {name: at_path(document, path) for name, path in wanted.fields.items()}


def _told(answer: Answer, wanted: HttpAnswer) -> dict[str, Any]:
    text = answer.text
    try:
        told = picked(json.loads(text), wanted) if text.strip() else {}
    except (ValueError, RecursionError):
        told = {"answer": text} if not wanted.fields else {}
    if not 200 <= answer.status < 300:
        told = {**_without_null(told), "error": f"the service answered {answer.status}"}
    return _shortened(told or {"ok": True}, wanted.max_length)


def _shortened(told: dict[str, Any], longest: int) -> dict[str, Any]:
    """As it is, or as text that is cut: a model must not be flooded."""
    if len(json.dumps(told, ensure_ascii=False)) <= longest:
        return told
    share = max(1, longest // len(told))
    return {name: _cut(value, share) for name, value in told.items()}


def _cut(value: object, longest: int) -> object:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= longest else text[:longest] + _CUT


def _without_null(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}


def _filled(value: object, values: Mapping[str, object]) -> Any:
    """Placeholders replaced; a text that is nothing but one keeps the value's own kind."""
    if isinstance(value, str):
        alone = PLACEHOLDER.fullmatch(value)
        return values.get(alone.group(1)) if alone else fill(value, values)
    if isinstance(value, Mapping):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return value
