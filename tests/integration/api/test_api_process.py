"""The gateway as a process: how it starts, and that its memory stays flat."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from outdial.operations.api_keys import create_api_key
from outdial.settings import Settings, variable_name
from outdial.storage.engine import open_sessions

pytestmark = pytest.mark.integration

AGENT = {"name": "Ada", "greeting": "Hello {{name}}", "prompt": "Ask."}
ROWS = 100_000
FEW_ROWS = 20_000
MEGABYTE = 1024  # of kB, as /proc counts


def environment(settings: Settings, **more: str) -> dict[str, str]:
    names = ("database_url", "redis_url", "public_url", "twilio_account_sid", "twilio_api_base_url")
    values = {variable_name(name): str(getattr(settings, name)) for name in names}
    token = settings.twilio_auth_token.get_secret_value()
    return {"PATH": os.environ["PATH"], **values, "TWILIO_AUTH_TOKEN": token, **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def gateway(settings: Settings, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "outdial_api"],
            env=environment(settings, OUTDIAL_PORT=str(port)),
            stderr=output,
            stdout=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(20) in {0, -15}


async def until_healthy(client: httpx.AsyncClient, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(60):
        while True:
            assert process.poll() is None, "it ended"
            try:
                if (await client.get("/health")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


def peak_memory(process: subprocess.Popen[bytes]) -> int:
    """The most kB that the process ever held at once."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


async def csv_of(rows: int, offset: int) -> AsyncIterator[bytes]:
    yield b"\xef\xbb\xbfexternal_id;phone;name;note\r\n"
    for block in range(0, rows, 500):
        yield b"".join(
            b"M-%d;+1212%07d;Ann;%s\r\n" % (offset + n, 2_000_000 + offset + n, b"x" * 60)
            for n in range(block, min(block + 500, rows))
        )


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
async def test_a_hundred_thousand_rows_leave_memory_flat(
    settings: Settings, tmp_path: Path
) -> None:
    async with open_sessions(settings.database_url) as sessions:
        key = await create_api_key(sessions, "test", "operator")
    port = free_port()
    headers = {"Authorization": f"Bearer {key.secret}"}
    with gateway(settings, port, tmp_path / "log") as process:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=280, trust_env=False
        ) as api:
            await until_healthy(api, process)
            await api.post("/v1/templates", json={"slug": "x", "agent": AGENT})
            await api.post("/v1/campaigns", json={"name": "big", "template": "x"})

            async def send(rows: int, offset: int) -> int:
                sizes = 0
                async with api.stream(
                    "POST",
                    "/v1/campaigns/big/leads",
                    content=csv_of(rows, offset),
                    headers={"Content-Type": "text/csv"},
                ) as answer:
                    assert answer.status_code == 200
                    async for block in answer.aiter_bytes():
                        sizes += block.count(b'"status": "created"')
                return sizes

            # Some batches first: one is read while another is written, and none of more is kept.
            assert await send(FEW_ROWS, 0) > FEW_ROWS * 0.99  # a word may lie across two blocks
            before = peak_memory(process)
            assert await send(ROWS, FEW_ROWS) > ROWS * 0.99
            grown = peak_memory(process) - before
            found = (await api.get("/v1/campaigns/big")).json()["leads"]
    assert found["total"] == ROWS + FEW_ROWS
    # The file alone is 9 MB and the answer 13: neither is held.
    assert grown < 8 * MEGABYTE, f"{grown} kB"


def test_settings_that_are_missing_are_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "outdial_api"],
        env={"PATH": os.environ["PATH"], "REDIS_URL": "redis://localhost"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "DATABASE_URL is not set" in done.stderr
    assert "TWILIO_AUTH_TOKEN is not set" in done.stderr
    assert "Traceback" not in done.stderr
