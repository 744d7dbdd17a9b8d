"""Fixtures of the storage's tests."""

from collections.abc import AsyncIterator

import pytest

from outdial.storage import templates
from outdial.storage.engine import open_sessions
from outdial.storage.tables import Campaign
from storage_world import Sessions, World


@pytest.fixture
async def sessions(database_url: str) -> AsyncIterator[Sessions]:
    async with open_sessions(database_url) as opened:
        yield opened


@pytest.fixture
async def world(sessions: Sessions) -> World:
    async with sessions.begin() as session:
        template = await templates.add(session, "a-kind-of-call", {"slug": "a-kind-of-call"})
        campaign = Campaign(name="campaign", template_id=template.id, status="running")
        session.add(campaign)
        await session.flush()
    return World(sessions, template.id, campaign.id)
