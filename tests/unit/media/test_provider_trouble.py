"""Which errors of the pipeline end a call."""

from types import SimpleNamespace
from typing import Any

import pytest
from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory

from outdial_media.provider_trouble import ProviderTrouble

pytestmark = pytest.mark.unit


def parts() -> Any:
    return SimpleNamespace(
        **{name: SimpleNamespace(is_usable=True) for name in ("hearing", "thinking", "speaking")}
    )


def error(processor: Any, category: ErrorCategory = ErrorCategory.UNKNOWN) -> ErrorFrame:
    return ErrorFrame(error="it failed", processor=processor, category=category)


def test_a_route_that_has_asked_every_model_has_no_answer() -> None:
    pipeline = parts()
    trouble = ProviderTrouble(pipeline).weigh(error(pipeline.thinking))
    assert trouble is not None
    assert (trouble.provider, trouble.error) == ("thinking", "it failed")


@pytest.mark.parametrize("name", ["hearing", "speaking"])
def test_what_mends_itself_is_left_to_until_it_gives_up(name: str) -> None:
    pipeline = parts()
    weigh = ProviderTrouble(pipeline).weigh
    service = getattr(pipeline, name)
    assert weigh(error(service)) is None
    service.is_usable = False
    trouble = weigh(error(service))
    assert trouble is not None
    assert trouble.provider == name


def test_errors_of_tools_and_of_others_end_nothing() -> None:
    pipeline = parts()
    weigh = ProviderTrouble(pipeline).weigh
    assert weigh(error(pipeline.thinking, ErrorCategory.APPLICATION)) is None
    assert weigh(error(SimpleNamespace(is_usable=False))) is None
    assert weigh(error(None)) is None
