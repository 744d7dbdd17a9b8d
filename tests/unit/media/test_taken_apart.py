"""A pipeline that is over is freed without a look for garbage."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameProcessor

from outdial_media import taken_apart
from outdial_media.phone_worker import PhoneWorker
from outdial_media.pipeline_run import PipelineRun
from outdial_media.taken_apart import take_apart, take_apart_soon

pytestmark = pytest.mark.unit


@pytest.fixture
def _no_looks() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _run() -> tuple[PipelineRun, list[weakref.ref[FrameProcessor]]]:
    processors = [IdentityFilter() for _ in range(3)]
    worker = PhoneWorker(
        Pipeline(processors),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
    )
    return PipelineRun(worker), [weakref.ref(processor) for processor in processors]


async def _until_gone(refs: list[weakref.ref[FrameProcessor]]) -> bool:
    for _ in range(50):  # what was just cancelled lets go in the next rounds of the loop
        if not any(ref() is not None for ref in refs):
            return True
        await asyncio.sleep(0)
    return False


@pytest.mark.usefixtures("_no_looks")
async def test_what_ran_is_gone() -> None:
    run, refs = _run()
    await run.start()
    assert run.has_started
    await run.tear_down()
    parts = run.parts
    del run
    assert not await _until_gone(refs), "a pipeline frees itself now: taking it apart is not needed"
    take_apart(parts)
    del parts
    assert await _until_gone(refs)


@pytest.mark.usefixtures("_no_looks")
async def test_what_never_ran_is_gone() -> None:
    run, refs = _run()
    await run.tear_down()
    take_apart(run.parts)
    del run
    assert await _until_gone(refs)


@pytest.mark.usefixtures("_no_looks")
async def test_it_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken_apart, "REST_SECONDS", 0.05)
    run, refs = _run()
    await run.start()
    await run.tear_down()
    take_apart_soon(run.parts)
    kept = refs[0]()
    assert kept is not None
    assert kept.name, "a callback that comes late finds what it needs"
    del run, kept
    async with asyncio.timeout(10):
        while any(ref() is not None for ref in refs):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
