"""A pipeline's life: started once, torn down once, and nothing of it left."""

import asyncio

import structlog
from pipecat.pipeline.worker import PipelineWorker
from pipecat.workers.runner import WorkerRunner

_log = structlog.get_logger(__name__)

START_SECONDS = 10.0
_TEARDOWN_SECONDS = 8.0


class PipelineRun:
    """Runs one worker. Pipecat connects the providers before it says that it has started."""

    def __init__(self, worker: PipelineWorker) -> None:
        self._worker = worker
        self._runner: WorkerRunner | None = None
        self._running: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._parts: tuple[object, ...] = (worker, worker.pipeline)
        worker.add_event_handler("on_pipeline_started", self._on_started)

    @property
    def has_started(self) -> bool:
        """Whether frames are processed."""
        return self._started.is_set()

    async def start(self) -> None:
        """Start, and wait until it has, or has failed to; a second call does nothing."""
        if self._running is not None:
            return
        self._runner = WorkerRunner(handle_sigint=False)
        await self._runner.add_workers(self._worker)
        self._running = asyncio.create_task(self._runner.run())
        started = asyncio.create_task(self._started.wait())
        try:
            await asyncio.wait(
                {started, self._running}, timeout=START_SECONDS, return_when="FIRST_COMPLETED"
            )
        finally:
            started.cancel()

    async def tear_down(self) -> None:
        """Cancel what goes on and wait until its tasks and sockets are gone."""
        if self._runner is None or self._running is None:
            return
        runner, self._runner = self._runner, None
        await runner.cancel(reason="the call is over")
        _, late = await asyncio.wait({self._running}, timeout=_TEARDOWN_SECONDS)
        for task in late:
            _log.error("pipeline_not_torn_down")
            task.cancel()
        self._parts = () if late else (*self._parts, runner)

    @property
    def parts(self) -> tuple[object, ...]:
        """What `taken_apart.py` takes apart when the run is over; nothing if it goes on."""
        return self._parts

    async def _on_started(self, *_args: object) -> None:
        self._started.set()
