"""Live calls have their turns while another conversation is made."""

import asyncio

import pytest

from outdial.domain.call_template import Agent, CallTemplate
from outdial.settings import Settings
from outdial_media.pipeline import build_pipeline
from outdial_media.shared_models import SharedModels
from outdial_media.speech_services import SpeechServices
from outdial_media.telephone_line import TelephoneLine

pytestmark = pytest.mark.unit

PARTS = 3


async def test_a_pipeline_is_made_in_parts() -> None:
    services = SpeechServices(Settings(_env_file=None, deepgram_api_key="d", groq_api_key="g"))
    models = SharedModels()
    making = asyncio.create_task(
        build_pipeline(
            TelephoneLine(),
            CallTemplate("x", Agent("Ada", "Hello.", "Talk.")),
            models,
            services,
            instruction="",
            muted=lambda: False,
        )
    )
    turns = 0
    while not making.done():
        await asyncio.sleep(0)
        turns += 1
    await making
    assert turns >= PARTS
    await services.close()
    models.close()
