"""Who is let in to the providers, and what is left of them when they are killed."""

import os
import signal
import subprocess
import sys
import time

import groq
import httpx
import pytest
import websockets
from deepgram.core import ApiError

from providers_world import KEY, deepgram, free_port, start_providers

pytestmark = pytest.mark.integration


async def test_a_missing_key_and_a_bad_format_refuse_the_handshake(host: str) -> None:
    for path in ("/v1/listen", "/v1/speak"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://{host}{path}?encoding=linear16&sample_rate=8000")
        assert refused.value.response.status_code == 401
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://{host}{path}?encoding=opus", additional_headers=KEY)
        assert refused.value.response.status_code == 400
        assert "opus" in refused.value.response.headers["dg-error"]


async def test_a_configured_key_is_the_only_one() -> None:
    port = free_port()
    process = start_providers(port, "--deepgram-key", "right", "--groq-key", "right")
    try:
        with pytest.raises(ApiError) as refused:
            async with deepgram(f"127.0.0.1:{port}", "wrong").listen.v1.connect(model="nova-3"):
                pass
        assert refused.value.status_code == 401
        with pytest.raises(groq.AuthenticationError):
            groq.Groq(api_key="wrong", base_url=f"http://127.0.0.1:{port}").models.list()
        assert groq.Groq(api_key="right", base_url=f"http://127.0.0.1:{port}").models.list().data
    finally:
        process.terminate()
        process.wait(10)


def processes_of_group(group: int) -> list[str]:
    listing = subprocess.run(
        ["ps", "-eo", "pgid,stat,cmd"], check=True, capture_output=True, text=True
    )
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()[1:]]
    return [row[2] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


def test_no_recogniser_outlives_a_killed_server() -> None:
    port = free_port()
    command = [sys.executable, "-m", "outdial_sandbox", "providers", "--port", str(port)]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(processes_of_group(process.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    deadline = time.monotonic() + 10
    while (left := processes_of_group(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


async def test_projects_need_a_key(host: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://{host}") as client:
        refused = await client.get("/v1/projects")
        assert (refused.status_code, refused.json()["err_code"]) == (401, "INVALID_AUTH")
        assert (await client.get("/v1/projects", headers=KEY)).json()["projects"]
