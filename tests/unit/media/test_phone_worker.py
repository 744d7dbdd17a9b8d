"""Nobody is told of frames while nobody watches."""

import inspect

import pytest
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameProcessor

from outdial_media.phone_worker import PhoneWorker

pytestmark = pytest.mark.unit


class Watches(BaseObserver):
    pass


def _worker(*observers: BaseObserver) -> PhoneWorker:
    return PhoneWorker(
        Pipeline([IdentityFilter()]),
        observers=list(observers),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
    )


async def test_without_observers_there_is_nothing_to_describe() -> None:
    assert not _worker()._observer
    assert _worker(Watches())._observer
    later = _worker()
    later.add_observer(Watches())
    assert later._observer


def test_upstream_asks_before_it_describes() -> None:
    """pipecat 1.14."""
    for method in ("process_frame", "_FrameProcessor__internal_push_frame"):
        source = inspect.getsource(getattr(FrameProcessor, method))
        assert "observer = self._setup.observer if self._setup else None" in source
        assert "if observer:" in source
    made = inspect.getsource(PipelineWorker.__init__)
    assert "self._observer = WorkerObserver(observers=observers)" in made
