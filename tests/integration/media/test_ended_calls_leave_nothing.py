"""A call that ends beside another is freed at once: nobody looks through all calls for its rest."""

import gc
from collections.abc import Iterator, Mapping

import pytest

from calls import closed_record, make_call, socket_url
from conftest import RunningPod
from media_line import open_line
from outdial_media import taken_apart
from outdial_sandbox.people.people import who_answers
from polling import until

pytestmark = pytest.mark.integration

MOST_LEFT = 60
"""Of pipecat's objects (a call has 270): those that conversations know, each without its parts."""


@pytest.fixture
def looks_at_all() -> Iterator[list[int]]:
    """The looks through everything that there have been."""
    looks: list[int] = []

    def note(phase: str, info: Mapping[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            looks.append(info["generation"])

    gc.callbacks.append(note)
    yield looks
    gc.callbacks.remove(note)


def _of_pipecat() -> int:
    return sum(str(type(thing).__module__).startswith("pipecat.") for thing in gc.get_objects())


async def test_a_call_leaves_nothing_to_look_for(
    pod: RunningPod, monkeypatch: pytest.MonkeyPatch, looks_at_all: list[int]
) -> None:
    monkeypatch.setattr(taken_apart, "REST_SECONDS", 0.2)
    calls = [await make_call(pod.runtime) for _ in range(2)]
    stays, goes = (socket_url(pod.runtime, called, pod.pod.boot_id) for called in calls)
    async with open_line(stays, who_answers("+12025550111").start(1)) as other:
        await other.agent_was_heard.wait()
        gc.collect()
        looks_at_all.clear()
        gc.disable()
        try:
            before = _of_pipecat()
            async with open_line(goes, who_answers("+12025550111").start(1)) as line:
                await line.agent_was_heard.wait()
                assert _of_pipecat() - before > 4 * MOST_LEFT, "the test sees no call"
            await closed_record(pod.runtime, calls[1].attempt_id)
            await until(lambda: _of_pipecat() - before <= MOST_LEFT, 20)
        finally:
            gc.enable()
        assert not looks_at_all
        assert not other.closed.is_set()
