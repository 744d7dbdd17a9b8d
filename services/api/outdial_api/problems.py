"""Every error of the REST API as `application/problem+json` (RFC 9457).

`detail` is a sentence for a person; `errors` names each field with what is wrong with it.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from outdial.domain.errors import (
    Conflict,
    Denied,
    FieldProblem,
    InvalidInput,
    NotFound,
    OutdialError,
    Unavailable,
)

_log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[OutdialError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (Denied, 403),
    (InvalidInput, 422),
    (Unavailable, 503),
)


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Dotted path; empty for the whole.", examples=["to_number"])
    message: str = Field(examples=["is not a phone number"])


class Problem(BaseModel):
    """An error, in the shape of RFC 9457."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["The request is not valid."])
    errors: list[FieldError] = Field(default_factory=list)


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text, "content": {MEDIA_TYPE: {}}}
    for status, text in {
        401: "No valid API key.",
        403: "The key's role does not allow this.",
        422: "The request is not valid; `errors` names the fields.",
    }.items()
}
"""What every route may answer beside its own."""


def problem(
    status: int,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """An answer that says what went wrong."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=[FieldError(field=e.field, message=e.message) for e in errors],
    )
    return JSONResponse(body.model_dump(), status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let `app` answer every error as a problem."""
    app.add_exception_handler(OutdialError, _on_outdial_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(DBAPIError, _on_store_error)
    app.add_exception_handler(PoolTimeout, _on_store_error)
    app.add_exception_handler(RedisError, _on_store_error)
    app.add_exception_handler(Exception, _on_defect)


async def _on_outdial_error(_request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    problems = error.problems if isinstance(error, InvalidInput) else ()
    headers = {"Retry-After": "5"} if isinstance(error, Unavailable) else None
    return problem(status, str(error), problems, headers)


async def _on_bad_request(_request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return problem(422, "The request is not valid.", [_field_problem(item) for item in found])


def _field_problem(item: dict[str, Any]) -> FieldProblem:
    where, *path = item["loc"]
    # A path, query or header parameter is told by its place; a field of the body needs no prefix.
    inner = ".".join(str(part) for part in path)
    field = inner if where == "body" else f"{where}.{inner}"
    if item["type"] == "json_invalid":
        return FieldProblem("", f"is not JSON: {item.get('ctx', {}).get('error', 'unreadable')}")
    if item["type"] == "missing":
        return FieldProblem(field, "is missing")
    if item["type"] == "extra_forbidden":
        return FieldProblem(field, "is not known here")
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return FieldProblem(field, message)


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers) if error.headers else None
    if error.status_code < 400 or error.status_code in {204, 304}:
        return Response(status_code=error.status_code, headers=headers)
    return problem(error.status_code, _sentence(error), headers=headers)


def _sentence(error: HTTPException) -> str:
    if error.detail != HTTPStatus(error.status_code).phrase:
        return str(error.detail)
    return {
        404: "There is nothing at this address.",
        405: "This address does not know this method.",
        413: "The body is too large.",
    }.get(error.status_code, str(error.detail))


async def _on_store_error(request: Request, error: Exception) -> Response:
    """A store that is away is 503: the same request may succeed in a moment."""
    away = not isinstance(error, DBAPIError) or error.connection_invalidated or _is_away(error)
    _log.error("store_error", path=request.url.path, kind=type(error).__name__, away=away)
    if away:
        return problem(503, "A store does not answer; try again.", headers={"Retry-After": "2"})
    _log.error("database_refused", exc_info=error)
    return problem(500, "Something went wrong on our side; it is in the log.")


def _is_away(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlstate", None)
    return code is None or code.startswith(("08", "57P", "53"))


async def _on_defect(request: Request, error: Exception) -> Response:
    _log.error("unhandled", path=request.url.path, exc_info=error)
    return problem(500, "Something went wrong on our side; it is in the log.")
