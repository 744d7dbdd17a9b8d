"""What must hold in a template's own tools (HTTP), and in its transfer to a human."""

import json
import re
from collections.abc import Iterator
from typing import get_args

from outdial.domain.call_template import CallTemplate, HttpRequest, HttpTool, ToolName
from outdial.domain.errors import FieldProblem
from outdial.domain.placeholders import malformed_in, request_texts
from outdial.operations.check_schema import schema_problems

BUILT_IN: frozenset[str] = frozenset(get_args(ToolName))
SECRET = re.compile(r"(?:[A-Za-z]+ )?secret:((?![A-Z0-9_]*_(?:FILE|HOSTS)$)[A-Z][A-Z0-9_]{0,63})")
"""A header that takes a secret of the deployment: `secret:NAME`, or `Bearer secret:NAME`."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")  # what every provider of models takes
# No password, no backslash: what reads the URL later must read the same host.
_AUTHORITY = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:\d{1,5})?(?=[/?#]|$)")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_NO_BODY = ("GET", "DELETE")


def tool_problems(template: CallTemplate) -> Iterator[FieldProblem]:
    """Everything that does not hold, each with its path."""
    names = [tool.name if isinstance(tool, HttpTool) else tool for tool in template.tools]
    if len(set(names)) != len(names):
        yield FieldProblem("tools", "names a tool twice")
    if len(names) > 40:
        yield FieldProblem("tools", "must be 40 at most: a model chooses badly among many")
    for number, tool in enumerate(template.tools):
        if isinstance(tool, HttpTool):
            yield from _http_tool(tool, f"tools.{number}")
    yield from _transfer(template)


def request_problems(request: HttpRequest, at: str) -> Iterator[FieldProblem]:
    """What does not hold in a request, whoever makes it."""
    yield from _url(request.url, f"{at}.url")
    for name, value in request.headers.items():
        yield from _header(name, value, f"{at}.headers.{name}")
    if request.body is not None and request.method in _NO_BODY:
        yield FieldProblem(f"{at}.body", f"is not sent with {request.method}")
    if not 0.1 <= request.timeout_seconds <= 15:
        yield FieldProblem(f"{at}.timeout_seconds", "must be between 0.1 and 15")
    if len(request.filler) > 300:
        yield FieldProblem(f"{at}.filler", "is longer than 300 characters")
    for path, text in request_texts(request).items():
        if (found := malformed_in(text)) is not None:
            yield FieldProblem(
                f"{at}.{path}", f"has a brace pair that is no variable, near {found!r}"
            )


def _http_tool(tool: HttpTool, at: str) -> Iterator[FieldProblem]:
    if not _NAME.fullmatch(tool.name):
        yield FieldProblem(f"{at}.name", "must be 1-64 of a-z, A-Z, 0-9, _ and -")
    if tool.name in BUILT_IN:
        yield FieldProblem(f"{at}.name", "is a built-in tool's: choose another")
    if not 0 < len(tool.description.strip()) <= 1000:
        yield FieldProblem(
            f"{at}.description", "must say in up to 1000 characters when to use the tool"
        )
    yield from schema_problems(f"{at}.parameters", tool.parameters)
    if '"$ref"' in json.dumps(tool.parameters):  # a model is told of the properties alone
        yield FieldProblem(f"{at}.parameters", "must be written out, without $ref")
    yield from request_problems(tool.http, f"{at}.http")
    if "error" in tool.answer.fields:
        yield FieldProblem(f"{at}.answer.fields.error", "is what a failure is told as: rename it")
    if not 1 <= tool.answer.max_length <= 8000:
        yield FieldProblem(f"{at}.answer.max_length", "must be between 1 and 8000")


def _url(url: str, at: str) -> Iterator[FieldProblem]:
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if "{{" in authority:
        yield FieldProblem(at, "must name its host: an argument or a variable cannot")
    elif not _AUTHORITY.match(url) or not url.isprintable() or len(url) > 2000:
        yield FieldProblem(at, "must be a URL like https://api.example.com/orders/{{order}}")


def _header(name: str, value: str, at: str) -> Iterator[FieldProblem]:
    if not _HEADER.fullmatch(name) or name.lower() in _OURS:
        yield FieldProblem(at, "is no header that a template may set")
    if not value.isprintable() or len(value) > 1000:
        yield FieldProblem(at, "must be one line of up to 1000 characters")
    elif "secret:" in value and not SECRET.fullmatch(value):
        yield FieldProblem(at, "must be secret:NAME or Bearer secret:NAME, with NAME in capitals")


def _transfer(template: CallTemplate) -> Iterator[FieldProblem]:
    offered = "transfer_to_human" in template.tools
    transfer = template.transfer
    for name in ("number", "caller_id"):
        value = getattr(transfer, name)
        if value and not _E164.fullmatch(value):
            yield FieldProblem(f"transfer.{name}", "must be a number like +12125550100")
    if offered and not transfer.number:
        yield FieldProblem("transfer.number", "is missing: the tools name transfer_to_human")
    if transfer.number and not offered:
        yield FieldProblem("transfer.number", "needs transfer_to_human among the tools")
