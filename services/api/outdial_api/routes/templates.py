"""Templates: kinds of calls, in versions."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from outdial.domain.errors import NotFound
from outdial.operations.create_template import create_template
from outdial.operations.parse_template import MAX_BYTES, parse_template, read_document
from outdial.storage import templates
from outdial_api import problems
from outdial_api.dependencies import OpenRuntime
from outdial_api.pages import Page
from outdial_api.security import Operator, Viewer
from outdial_api.views import TemplateView

router = APIRouter(prefix="/v1/templates", tags=["templates"], responses=problems.RESPONSES)
Slug = Annotated[str, Path(max_length=64, description="The template's name.")]

_EXAMPLE = {
    "slug": "appointment-reminder",
    "agent": {
        "name": "Ada",
        "greeting": "Hello {{name}}, this is Ada, an automated assistant. Can you make it?",
        "prompt": "Find out whether {{name}} can come on {{appointment}}, and record it.",
    },
    "outcome_schema": {
        "type": "object",
        "properties": {"status": {"type": "string", "enum": ["confirmed", "declined"]}},
        "required": ["status"],
    },
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"type": "object"}, "example": _EXAMPLE},
        "application/yaml": {
            "schema": {"type": "string"},
            "example": "slug: survey\nagent:\n  name: Ada\n  greeting: Hello {{name}}!\n"
            "  prompt: Ask how satisfied {{name}} is.\n",
        },
    },
}


@router.post("", status_code=201, response_model=TemplateView, openapi_extra={"requestBody": _BODY})
async def add_template(request: Request, runtime: OpenRuntime, _key: Operator) -> Response:
    """Write the next version of a template, as JSON or YAML.

    The body of the newest version again is that version, so sending twice does nothing twice.
    """
    body = await request.body()
    if len(body) > MAX_BYTES:
        raise HTTPException(413, f"A template is {MAX_BYTES // 1024} KB at most.")
    template = await create_template(runtime, parse_template(read_document(body)))
    return JSONResponse(TemplateView.of(template).model_dump(mode="json"), 201)


@router.get("")
async def list_templates(runtime: OpenRuntime, _key: Viewer) -> Page[TemplateView]:
    """The newest version of every template."""
    async with runtime.sessions() as session:
        rows = await templates.latest_of_each(session)
    return Page(items=[TemplateView.of(row) for row in rows], next_cursor=None)


@router.get("/{slug}")
async def get_template(slug: Slug, runtime: OpenRuntime, _key: Viewer) -> TemplateView:
    """The newest version."""
    async with runtime.sessions() as session:
        template = await templates.latest(session, slug)
    if template is None:
        raise NotFound(f"There is no template {slug}.")
    return TemplateView.of(template)


@router.get("/{slug}/versions")
async def list_versions(slug: Slug, runtime: OpenRuntime, _key: Viewer) -> Page[TemplateView]:
    """Every version, the newest first."""
    async with runtime.sessions() as session:
        rows = await templates.versions(session, slug)
    if not rows:
        raise NotFound(f"There is no template {slug}.")
    return Page(items=[TemplateView.of(row) for row in rows], next_cursor=None)


@router.get("/{slug}/versions/{version}")
async def get_version(
    slug: Slug,
    version: Annotated[int, Path(ge=1, le=2**31 - 1)],
    runtime: OpenRuntime,
    _key: Viewer,
) -> TemplateView:
    """One version."""
    async with runtime.sessions() as session:
        template = await templates.version(session, slug, version)
    if template is None:
        raise NotFound(f"There is no version {version} of the template {slug}.")
    return TemplateView.of(template)
