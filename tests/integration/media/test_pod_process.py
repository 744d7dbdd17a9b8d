"""The pod as a process of its own: what it says of bad settings, and how it goes."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from pydantic import SecretStr

from calls import closed_record, make_call, socket_url
from media_line import open_line
from outdial.operations.runtime import Runtime, open_runtime
from outdial.routing.pod_registry import list_pods
from outdial.settings import Settings, variable_name
from outdial_sandbox.people.people import who_answers
from polling import until

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-m", "outdial_media"]


def _environment(settings: Settings) -> dict[str, str]:
    values = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {"PATH": os.environ["PATH"]} | {
        variable_name(name): value.get_secret_value()
        if isinstance(value, SecretStr)
        else str(value)
        for name, value in values.items()
    }


@contextmanager
def _process(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(COMMAND, env=_environment(settings), cwd="/")
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


async def _is_draining(runtime: Runtime) -> bool:
    return [view.state for view in await list_pods(runtime.redis)] == ["draining"]


def test_missing_settings_are_named_and_nothing_starts() -> None:
    done = subprocess.run(
        COMMAND, env={"PATH": os.environ["PATH"]}, cwd="/", capture_output=True, timeout=60
    )
    assert done.returncode == 2
    lines = done.stderr.decode()
    for name in ("DATABASE_URL", "REDIS_URL", "DEEPGRAM_API_KEY", "OUTDIAL_POD_PUBLIC_URL"):
        assert f"{name} is not set" in lines


async def test_a_pod_that_is_told_to_go_finishes_its_call(media_settings: Settings) -> None:
    settings = media_settings
    health = f"http://127.0.0.1:{settings.port}/health"
    async with open_runtime(settings) as runtime, httpx.AsyncClient() as client:

        async def answers(status: int) -> bool:
            with suppress(httpx.HTTPError):
                return (await client.get(health)).status_code == status
            return False

        with _process(settings) as process:
            await until(lambda: answers(200), 30)
            (view,) = await list_pods(runtime.redis)
            called = await make_call(runtime)
            person = who_answers("+12025550101").start(3)
            async with open_line(socket_url(runtime, called, view.boot_id), person) as line:
                await line.agent_was_heard.wait()
                process.send_signal(signal.SIGTERM)
                await until(lambda: answers(503))
                await until(lambda: _is_draining(runtime))
                async with asyncio.timeout(90):
                    await line.closed.wait()
            record = await closed_record(runtime, called.attempt_id)
            assert "record_outcome" in [tool.name for tool in record.tools]
            assert record.payload("conversation_closed")["reason"] == "agent_ended"
            await until(lambda: process.poll() is not None, 20)
            assert process.returncode == 0


async def test_a_second_signal_cuts_and_what_happened_is_still_written(
    media_settings: Settings,
) -> None:
    settings = media_settings
    async with open_runtime(settings) as runtime:
        with _process(settings) as process:

            async def is_known() -> bool:
                return bool(await list_pods(runtime.redis))

            await until(is_known, 30)
            (view,) = await list_pods(runtime.redis)
            called = await make_call(runtime)
            person = who_answers("+12025550111").start(3)
            async with open_line(socket_url(runtime, called, view.boot_id), person) as line:
                await line.agent_was_heard.wait()
                process.send_signal(signal.SIGTERM)
                await until(lambda: _is_draining(runtime))
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(15):
                    await line.closed.wait()
            record = await closed_record(runtime, called.attempt_id)
            assert record.payload("conversation_closed")["ended_by"] == "system"
            await until(lambda: process.poll() is not None, 20)
