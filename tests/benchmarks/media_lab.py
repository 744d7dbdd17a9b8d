"""The laboratory around a bot: callers and providers, on the core beside the bot's."""

import asyncio
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from media_callers import Job
from media_processes import (
    HERE,
    OTHER_CORE,
    answers,
    child,
    cpu_seconds,
    free_port,
    lives,
    pin,
    until,
)
from media_tls import Certificates, make_certificates


class Bot(Protocol):
    """A process that takes calls on media streams."""

    name: str
    pid: int

    async def lines(self, count: int) -> list[str]:
        """Addresses of `count` media streams, each ready to be connected."""


class Callers:
    """A process of callers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process
        self._jobs: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def run(self, job: Job) -> dict[str, Any]:
        """Have a job done; several may go on at once."""
        assert self._process.stdin is not None
        number = len(self._jobs)
        self._jobs[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps([number, asdict(job)]).encode() + b"\n")
        return await self._jobs[number]

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            number, result = json.loads(line)
            self._jobs[number].set_result(result)
        for job in self._jobs.values():
            if not job.done():
                job.set_exception(RuntimeError("the callers died: see var/bench/media_callers.log"))


class Lab:
    """Callers and providers, and what they cost."""

    def __init__(
        self,
        callers: Callers,
        providers: asyncio.subprocess.Process,
        providers_url: str,
        tls_port: int,
        certificates: Certificates,
    ) -> None:
        self.run = callers.run
        self.providers, self.providers_url = providers, providers_url
        self.secure_url = f"https://127.0.0.1:{tls_port}"
        """Where bots find Deepgram and Groq."""
        self.environment = certificates.environment
        """With this they trust them."""
        self.others: Callable[[], dict[str, int]] = dict
        """Further processes beside the bot, by name."""
        self._callers = callers

    async def turns(self) -> dict[str, dict[str, float]]:
        """What the providers saw since the last time."""

        def ask() -> dict[str, dict[str, float]]:
            with urllib.request.urlopen(f"{self.providers_url}/bench/turns") as answer:
                found: dict[str, dict[str, float]] = json.load(answer)
                return found

        return await asyncio.to_thread(ask)

    def cpu(self) -> dict[str, float]:
        """Seconds of processor that each of the processes beside the bot has used."""
        pids = {"callers": self._callers.pid, "providers": self.providers.pid} | self.others()
        return {name: cpu_seconds(pid, children=True) for name, pid in pids.items()}


@asynccontextmanager
async def open_lab() -> AsyncIterator[Lab]:
    """Callers and providers, on the core beside the bot's."""
    pin(os.getpid(), OTHER_CORE)  # and all children, but for the bot
    async with AsyncExitStack() as stack:
        port, tls_port = free_port(), free_port()
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-tls-"))
        certificates = make_certificates(Path(folder))
        command = (
            sys.executable, str(HERE / "media_providers.py"), str(port), str(tls_port),
            str(certificates.shown),
        )  # fmt: skip
        providers = await stack.enter_async_context(child(command))
        callers = await stack.enter_async_context(open_callers())
        url = f"http://127.0.0.1:{port}"
        lab = Lab(callers, providers, url, tls_port, certificates)
        await until(lambda: lives(providers) and answers(f"{lab.providers_url}/bench/turns"), 60)
        yield lab


@asynccontextmanager
async def open_callers() -> AsyncIterator[Callers]:
    """A process of callers, which have prepared their speech."""
    async with child((sys.executable, str(HERE / "media_callers.py")), piped=True) as process:
        callers = Callers(process)
        await callers.run(Job(urls=[]))
        yield callers
