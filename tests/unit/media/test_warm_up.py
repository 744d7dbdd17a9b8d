"""What the first call would have to wait for is done when a pod says that it is ready."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

# In a process of its own: here, other tests have had everything loaded already.
FIRST_ANSWERS = """
import asyncio, sys
from pydantic._internal import _model_construction as models
from outdial.settings import Settings
from outdial_media import pod, warm_up
from outdial_media.shared_models import SharedModels
from outdial_media.speech_services import SpeechServices

async def main():
    settings = Settings(_env_file=None, deepgram_api_key="d", groq_api_key="g")
    services, shared = SpeechServices(settings), SharedModels()
    built, build = [], models.complete_model_class
    models.complete_model_class = lambda name, *a, **k: built.append(name) or build(name, *a, **k)
    await warm_up.warm_up(shared, services)
    before = len(built)
    await warm_up._answer(warm_up._SAID)
    network = "anyio._backends._asyncio" in sys.modules
    print(before, len(built) - before, network, warm_up.shared_tls.cache_info().currsize)
    await services.close()

asyncio.run(main())
"""


def test_the_first_answer_is_waited_for_no_longer_than_the_second() -> None:
    command = [sys.executable, "-c", FIRST_ANSWERS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, later, network, contexts = done.stdout.split()
    assert int(before) > 0, "upstream builds no validators late any more"
    assert (later, network, contexts) == ("0", "True", "1")
