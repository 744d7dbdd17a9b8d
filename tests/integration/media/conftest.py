"""A pod in this process, and the sandbox's providers in theirs."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from loguru import logger as pipecat_log

from outdial.operations.runtime import Runtime, open_runtime
from outdial.settings import Settings
from outdial_media.app import make_app
from outdial_media.pod import Pod, open_pod
from polling import until


@pytest.fixture(scope="session", autouse=True)
def _quiet_pipecat() -> None:
    """Pipecat writes every frame's journey to stderr unless it is told not to."""
    pipecat_log.remove()
    pipecat_log.add(sys.stderr, level="WARNING")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def providers() -> Iterator[str]:
    """The address of the sandbox's Deepgram and Groq."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "outdial_sandbox", "providers"]
    process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)])
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{url}/sandbox/health").is_success:
                    break
            time.sleep(0.1)
        else:
            pytest.fail("the sandbox's providers did not start")
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def media_settings(settings: Settings, providers: str) -> Settings:
    """Settings of a pod that is reached on a free port of this machine."""
    port = _free_port()
    return settings.model_copy(
        update={
            "deepgram_base_url": providers,
            "groq_base_url": providers,
            "port": port,
            "pod_public_url": f"ws://127.0.0.1:{port}/pods/pod-1",
            "closing_pass_seconds": 4.0,
        }
    )


@dataclass
class RunningPod:
    """A pod with its doors open."""

    pod: Pod
    runtime: Runtime


@pytest.fixture
async def start_pod() -> AsyncIterator[Callable[[Settings], asyncio.Future[RunningPod]]]:
    """Start pods with settings of the test's own; they are stopped after it."""
    running: list[tuple[asyncio.Task[None], asyncio.Event]] = []

    def start(settings: Settings) -> asyncio.Future[RunningPod]:
        ready: asyncio.Future[RunningPod] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        running.append((asyncio.create_task(_serve(settings, ready, stop)), stop))
        return ready

    yield start
    for task, stop in running:
        stop.set()
        await asyncio.wait({task}, timeout=20)
        task.cancel()


@pytest.fixture
async def pod(
    start_pod: Callable[[Settings], asyncio.Future[RunningPod]], media_settings: Settings
) -> RunningPod:
    """A pod whose providers answer."""
    return await start_pod(media_settings)


async def _serve(
    settings: Settings, ready: asyncio.Future[RunningPod], stop: asyncio.Event
) -> None:
    async with open_runtime(settings) as runtime, open_pod(runtime) as pod:
        server = uvicorn.Server(
            uvicorn.Config(
                make_app(pod),
                port=settings.port,
                lifespan="off",
                log_config=None,
                ws="websockets-sansio",
                timeout_graceful_shutdown=2,
            )
        )
        server.config.load()
        serving = asyncio.create_task(server._serve())
        await until(lambda: server.started and pod.is_ready, 30)
        ready.set_result(RunningPod(pod, runtime))
        await stop.wait()
        server.should_exit = True
        await serving
