"""API keys. Only an admin sees to them, and a secret is shown once."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Header
from pydantic import Field
from starlette.exceptions import HTTPException

from outdial.domain.errors import NotFound
from outdial.operations.api_keys import create_api_key
from outdial.storage import api_keys
from outdial_api import problems
from outdial_api.dependencies import OpenRuntime
from outdial_api.pages import Page
from outdial_api.requests import NewKey
from outdial_api.security import Admin
from outdial_api.views import KeyView

router = APIRouter(prefix="/v1/keys", tags=["keys"], responses=problems.RESPONSES)


class CreatedKeyView(KeyView):
    """A new key with its secret."""

    key: str = Field(description="Shown now and never again.", examples=["od_..."])


@router.post("", status_code=201)
async def create_key(
    body: NewKey,
    runtime: OpenRuntime,
    _key: Admin,
    idempotency_key: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> CreatedKeyView:
    """Make a key."""
    if idempotency_key is not None:
        raise HTTPException(400, "A key's secret is not kept, so this cannot be answered twice.")
    created = await create_api_key(runtime.sessions, body.name, body.role)
    shown = KeyView.of(created.key)
    return CreatedKeyView(**shown.model_dump(), key=created.secret)


@router.get("")
async def list_keys(runtime: OpenRuntime, _key: Admin) -> Page[KeyView]:
    """Every key, the revoked too."""
    async with runtime.sessions() as session:
        rows = await api_keys.all_keys(session)
    return Page(items=[KeyView.of(row) for row in rows], next_cursor=None)


@router.delete("/{key_id}", status_code=204)
async def revoke_key(key_id: uuid.UUID, runtime: OpenRuntime, _key: Admin) -> None:
    """End a key at once."""
    async with runtime.sessions.begin() as session:
        revoked = await api_keys.revoke(session, key_id)
    if not revoked:
        raise NotFound("No key in use has this id.")
