"""The gateway over real stores, asked as Twilio asks."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from outdial.settings import Settings
from outdial_api.app import create_app
from twilio_world import FakeCarrier, Twilio, World, make_world, swap


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application, started, with a carrier that only remembers."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        swap(app, carrier=FakeCarrier())
        yield app


@pytest.fixture
async def twilio(app: FastAPI, settings: Settings) -> AsyncIterator[Twilio]:
    """Twilio."""
    client = Twilio(app, settings)
    yield client
    await client.close()


@pytest.fixture
async def world(app: FastAPI) -> World:
    """A call that rings."""
    return await make_world(app.state.runtime, app.state.runtime.carrier)
