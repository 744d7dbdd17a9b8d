"""Pipecat's worker, without what it does for observers that nobody has asked for (pipecat 1.14)."""

from typing import Any

from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.worker import PipelineWorker
from pipecat.pipeline.worker_observer import WorkerObserver


class ObserversIfAny(WorkerObserver):
    """False while it has no observer.

    Processors ask `if observer:` before they describe each frame that they are given and each that
    they push: with upstream's, which is always true, to nobody.
    """

    def __bool__(self) -> bool:
        return bool(self._observers)


class PhoneWorker(PipelineWorker):
    """A call's worker."""

    def __init__(self, *args: Any, observers: list[BaseObserver] | None = None, **kwargs: Any):
        super().__init__(*args, observers=observers, **kwargs)
        self._observer = ObserversIfAny(observers=self._observer._observers)  # noqa: SLF001
