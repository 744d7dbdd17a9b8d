"""Fixtures of the dialing tests."""

from dataclasses import replace
from typing import cast

import pytest

from dialing_world import TEMPLATE, FakeCarrier, World
from outdial.operations.parse_template import body_of, parse_template
from outdial.operations.rebuild_reservations import rebuild_reservations
from outdial.operations.runtime import Runtime
from outdial.storage import templates
from outdial.storage.ids import new_id
from outdial.storage.tables import Campaign
from outdial.telephony.twilio_client import TwilioCarrier


@pytest.fixture
async def world(runtime: Runtime) -> World:
    """A running campaign, a pod with room, and no lead."""
    carrier = FakeCarrier()
    # A pod beats once in these tests: it must not go silent while they run.
    settings = runtime.settings.model_copy(
        update={
            "calls_per_second": 200.0,
            "departure_notice_seconds": 0.02,
            "pod_out_after_seconds": 600.0,
            "live_slot_lease_seconds": 601.0,
        }
    )
    opened = replace(runtime, settings=settings, carrier=cast("TwilioCarrier", carrier))
    async with opened.sessions.begin() as session:
        template = parse_template(TEMPLATE)
        row = await templates.add(session, template.slug, body_of(template))
        campaign = Campaign(id=new_id(), name="orders", template_id=row.id, status="running")
        session.add(campaign)
    world = World(opened, carrier, campaign.id, row.id)
    await rebuild_reservations(opened)
    await world.beat()
    await world.full_pace()
    return world
