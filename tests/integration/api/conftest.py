"""The gateway's application over real stores, without a server in between."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from gateway_client import client_of
from outdial.operations.runtime import Runtime
from outdial.settings import Settings
from outdial_api.app import create_app

AGENT = {
    "name": "Ada",
    "greeting": "Hello {{name}}, this is Ada, an AI, for {{clinic}}.",
    "prompt": "Ask {{name}} whether they come.",
}


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application, started."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def stores(app: FastAPI) -> Runtime:
    """The stores that the application opened."""
    runtime: Runtime = app.state.runtime
    return runtime


@pytest.fixture
async def api(app: FastAPI, stores: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an admin's key."""
    async with await client_of(app, stores, "admin") as client:
        yield client


@pytest.fixture
async def template(api: httpx.AsyncClient) -> str:
    """A template that names two variables."""
    answer = await api.post("/v1/templates", json={"slug": "visit", "agent": AGENT})
    assert answer.status_code == 201, answer.text
    return "visit"


@pytest.fixture
async def campaign(api: httpx.AsyncClient, template: str) -> str:
    """A draft of a campaign with that template."""
    answer = await api.post("/v1/campaigns", json={"name": "autumn", "template": template})
    assert answer.status_code == 201, answer.text
    return "autumn"
