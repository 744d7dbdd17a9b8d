"""The two bots that are measured, and the processes around them.

Ours is a pod as it is deployed: its own process, a real Postgres and Redis, calls reserved and
prepared while the telephone would ring. The stock bot is what `pipecat init` writes for a telephone
bot with Twilio, Deepgram and Groq; it is generated on each run, and nothing of it is changed but
the addresses of its providers. The bot has a core of its own; everything else shares the other.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from media_callers import Job
from media_processes import cpu_seconds, free_port
from media_speech import GREETING
from outdial.domain.call_template import Agent, CallTemplate, Turns
from outdial.operations.create_template import create_template
from outdial.operations.runtime import Runtime, open_runtime
from outdial.routing.slot_reservation import Slot, rebuild, reserve
from outdial.routing.stream_token import StreamClaims, sign
from outdial.settings import Settings
from outdial.storage.ids import new_id
from outdial.storage.schema import upgrade
from outdial.storage.tables import Attempt
from outdial_cli.stack.embedded_postgres import EmbeddedPostgres
from outdial_cli.stack.embedded_redis import EmbeddedRedis

HERE = Path(__file__).parent
VAR = HERE.parents[1] / "var/bench"
PIPECAT = "pipecat-ai[cli,runner,deepgram,groq,websocket,silero]==1.14.0"
INIT = (
    "init", "stockbot", "--no-context-hub", "-b", "telephony", "-t", "twilio", "-m", "cascade",
    "--stt", "deepgram_stt", "--llm", "groq_llm", "--tts", "deepgram_tts",
)  # fmt: skip
SLOTS = 400
BOT_CORE, OTHER_CORE = 0, 1


class Bot(Protocol):
    """A process that takes calls on media streams."""

    name: str
    pid: int

    async def lines(self, count: int) -> list[str]:
        """Addresses of `count` media streams, each ready to be connected."""


class Lab:
    """Callers and providers, and what they cost."""

    def __init__(
        self,
        callers: asyncio.subprocess.Process,
        providers: asyncio.subprocess.Process,
        providers_url: str,
    ) -> None:
        self.callers, self.providers, self.providers_url = callers, providers, providers_url
        self.others: Callable[[], dict[str, int]] = dict
        """Further processes beside the bot, by name."""
        self._jobs: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def run(self, job: Job) -> dict[str, Any]:
        """Have a job done; several may go on at once."""
        assert self.callers.stdin is not None
        number = len(self._jobs)
        self._jobs[number] = asyncio.get_running_loop().create_future()
        self.callers.stdin.write(json.dumps([number, asdict(job)]).encode() + b"\n")
        return await self._jobs[number]

    async def _read(self) -> None:
        assert self.callers.stdout is not None
        while line := await self.callers.stdout.readline():
            number, result = json.loads(line)
            self._jobs[number].set_result(result)
        for job in self._jobs.values():
            if not job.done():
                job.set_exception(RuntimeError("the callers died: see var/bench/media_callers.log"))

    async def turns(self) -> dict[str, dict[str, float]]:
        """What the providers saw since the last time."""

        def ask() -> dict[str, dict[str, float]]:
            with urllib.request.urlopen(f"{self.providers_url}/bench/turns") as answer:
                found: dict[str, dict[str, float]] = json.load(answer)
                return found

        return await asyncio.to_thread(ask)

    def cpu(self) -> dict[str, float]:
        """Seconds of processor that each of the processes beside the bot has used."""
        pids = {"callers": self.callers.pid, "providers": self.providers.pid} | self.others()
        return {name: cpu_seconds(pid, children=True) for name, pid in pids.items()}


@asynccontextmanager
async def open_lab() -> AsyncIterator[Lab]:
    """Callers and providers, on the core beside the bot's."""
    _pin(os.getpid(), OTHER_CORE)  # and all children, but for the bot
    async with AsyncExitStack() as stack:
        port = free_port()
        command = (sys.executable, str(HERE / "media_providers.py"), str(port))
        providers = await stack.enter_async_context(_child(command))
        command = (sys.executable, str(HERE / "media_callers.py"))
        callers = await stack.enter_async_context(_child(command, piped=True))
        lab = Lab(callers, providers, f"http://127.0.0.1:{port}")
        await _until(lambda: _lives(providers) and _answers(f"{lab.providers_url}/bench/turns"), 60)
        await lab.run(Job(urls=[]))  # it has prepared its speech
        yield lab


@dataclass
class StockBot:
    """The bot that `pipecat init` writes."""

    pid: int
    port: int
    name: str = "stock"

    async def lines(self, count: int) -> list[str]:
        return [f"ws://127.0.0.1:{self.port}/ws"] * count


@asynccontextmanager
async def open_stock(lab: Lab) -> AsyncIterator[StockBot]:
    """Generate it and run it."""
    venv = VAR / "stock-venv"
    base = Path(tempfile.mkdtemp(prefix="bench-stock-"))
    try:
        await asyncio.to_thread(_install, venv)
        await asyncio.to_thread(_generate, venv, base)
        folder = base / "stockbot/server"
        _address(folder / "bot.py", lab.providers_url)
        port = free_port()
        command = (
            str(venv / "bin/python"), "bot.py", "-t", "twilio", "--host", "127.0.0.1",
            "--port", str(port), "--proxy", f"127.0.0.1:{port}",
        )  # fmt: skip
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(base),
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "TWILIO_AUTH_TOKEN": "bench",
            "DEEPGRAM_API_KEY": "bench",
            "DEEPGRAM_VOICE_ID": "aura-2-thalia-en",
            "GROQ_API_KEY": "bench",
            "GROQ_MODEL": "openai/gpt-oss-120b",
            "BENCH_TWILIO": lab.providers_url,
        }
        async with _child(command, env=env, cwd=folder, core=BOT_CORE) as process:
            await _until(lambda: _lives(process) and _listens(port), 90)
            await asyncio.sleep(1)
            yield StockBot(process.pid, port)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _generate(venv: Path, base: Path) -> None:
    subprocess.run([venv / "bin/pipecat", *INIT], cwd=base, check=True, capture_output=True)


def _install(venv: Path) -> None:
    """Once; the address of Twilio in it is the only thing that is changed."""
    done = venv / ".ready"
    if done.exists() and done.read_text() == PIPECAT:
        return
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [venv / "bin/pip", "install", "-q", "--disable-pip-version-check", PIPECAT]
    subprocess.run(pip, check=True)
    serializer = next(venv.glob("lib/python3*/site-packages/pipecat/serializers/twilio.py"))
    # Its hang-up by REST takes no address from outside.
    asked = "    base_url = os.environ['BENCH_TWILIO']\n    if base_url:\n"
    _replace(serializer, "    if base_url:\n", asked)
    _replace(serializer, "import base64\n", "import base64\nimport os\n")
    done.write_text(PIPECAT)


def _address(bot: Path, providers: str) -> None:
    """Point the bot at the stand-ins. A scaffold that changed stops the bench here."""
    ws = providers.replace("http", "ws", 1)
    _replace(bot, "https://api.twilio.com", providers)
    for service in ("DeepgramSTTService(", "DeepgramTTSService("):
        _replace(bot, f"= {service}", f'= {service}base_url="{ws}", ')
    _replace(bot, "= GroqLLMService(", f'= GroqLLMService(base_url="{providers}/openai/v1", ')


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if old not in text:
        raise RuntimeError(f"{path.name} has no {old!r} any more: the bench must be adapted to it")
    path.write_text(text.replace(old, new, 1))


@dataclass
class OurPod:
    """A media pod with what it needs beside it."""

    pid: int
    settings: Settings
    runtime: Runtime
    template_id: uuid.UUID
    name: str = "ours"

    async def lines(self, count: int) -> list[str]:
        """Calls that were reserved and are prepared, as when a telephone has rung for a while."""
        ids = [new_id() for _ in range(count)]
        rows = [self._attempt(attempt_id) for attempt_id in ids]
        async with self.runtime.sessions.begin() as session:
            session.add_all(rows)
        boot_id = ""
        for attempt_id in ids:
            boot_id = (await self._reserve(attempt_id)).boot_id
        await _until(lambda: self._prepared() >= count, 120)
        await asyncio.sleep(1)  # the last ones have connected their providers
        expiry = time.time() + 600
        secret = self.settings.stream_secret
        return [
            f"{self.settings.pod_public_url}/ws/{self.template_id}/"
            + sign(secret, StreamClaims(attempt_id, 1, boot_id, expiry))
            for attempt_id in ids
        ]

    async def _reserve(self, attempt_id: uuid.UUID) -> Slot:
        """A slot; a pod that was late a moment ago offers none until it is calm."""
        async with asyncio.timeout(60):
            while True:
                slot = await reserve(self.runtime.redis, attempt_id, 600)
                if isinstance(slot, Slot):
                    return slot
                await asyncio.sleep(0.5)

    def _attempt(self, attempt_id: uuid.UUID) -> Attempt:
        return Attempt(
            id=attempt_id,
            direction="inbound",  # needs no lead; the pod does not care
            template_id=self.template_id,
            phone=f"+1555{attempt_id.int % 10**7:07d}",
            caller_number="+15005550006",
            state="ringing",
            intent_at=datetime.now(UTC),
            call_sid=f"CA{attempt_id.hex}",
        )

    def _prepared(self) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.port}/metrics") as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("outdial_pod_prepared_calls "):
                    return float(line.split()[1])
        return 0.0


@asynccontextmanager
async def open_pod(lab: Lab, turns: Turns | None = None) -> AsyncIterator[OurPod]:
    """Stores, a template, and a pod."""
    async with AsyncExitStack() as stack:
        base = Path(tempfile.mkdtemp(prefix="bench-media-", dir="/tmp"))
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        for folder in ("pg", "rd"):
            (base / folder).mkdir()
        postgres = EmbeddedPostgres(base / "p", base / "pg", base / "p.log", durable=False)
        redis = EmbeddedRedis(base / "r", base / "rd", base / "r.log", durable=False)
        for server in (postgres, redis):
            stack.callback(server.stop)
            server.start()
        await asyncio.to_thread(upgrade, postgres.url())
        settings = _settings(postgres.url(), redis.url(), lab.providers_url)
        runtime = await stack.enter_async_context(open_runtime(settings))
        await rebuild(runtime.redis, [])
        agent = Agent("Ada", GREETING, "Ask whether they can come.", max_minutes=30)
        template = CallTemplate("bench", agent, turns=turns or Turns())
        template_id = (await create_template(runtime, template)).id
        command = (sys.executable, "-m", "outdial_media")
        process = await stack.enter_async_context(
            _child(command, env=_environment(settings), cwd=base, core=BOT_CORE)
        )
        pids = {"postgres": postgres.child.pid, "redis": redis.child.pid}
        lab.others = lambda: pids
        stack.callback(setattr, lab, "others", dict)
        health = f"http://127.0.0.1:{settings.port}/health"
        await _until(lambda: _lives(process) and _answers(health), 60)
        yield OurPod(process.pid, settings, runtime, template_id)


def _settings(postgres: str, redis: str, providers: str) -> Settings:
    port = free_port()
    return Settings(
        _env_file=None,
        database_url=postgres,
        redis_url=redis,
        public_url="https://bench.test",
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token="bench",
        twilio_api_base_url=providers,
        deepgram_api_key="bench",
        deepgram_base_url=providers,
        groq_api_key="bench",
        groq_base_url=providers,
        pod_id="bench",
        pod_slots=SLOTS,
        port=port,
        pod_public_url=f"ws://127.0.0.1:{port}/pods/bench",
        log_level="WARNING",
    )


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PUBLIC_URL": settings.public_url,
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": "bench",
        "TWILIO_API_BASE_URL": settings.twilio_api_base_url,
        "DEEPGRAM_API_KEY": "bench",
        "DEEPGRAM_BASE_URL": settings.deepgram_base_url,
        "GROQ_API_KEY": "bench",
        "GROQ_BASE_URL": settings.groq_base_url,
        "OUTDIAL_POD_ID": settings.pod_id,
        "OUTDIAL_POD_SLOTS": str(settings.pod_slots),
        "OUTDIAL_POD_PUBLIC_URL": settings.pod_public_url,
        "OUTDIAL_PORT": str(settings.port),
        "OUTDIAL_LOG_LEVEL": settings.log_level,
    }


@asynccontextmanager
async def _child(
    command: Sequence[str],
    *,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    core: int = OTHER_CORE,
    piped: bool = False,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process on a core of its own or the common one; its words go to var/bench/."""
    VAR.mkdir(parents=True, exist_ok=True)
    pipe = asyncio.subprocess.PIPE if piped else asyncio.subprocess.DEVNULL
    name = Path(command[1]).stem if command[1] != "-m" else command[2]
    with (VAR / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=env,
            cwd=cwd,
            stdin=pipe,
            stdout=pipe if piped else log,
            stderr=log,
            limit=2**28,
            preexec_fn=lambda: _pin(0, core),
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM if cwd is None else signal.SIGKILL)
        await process.wait()


def _pin(pid: int, core: int) -> None:
    if (os.cpu_count() or 1) > max(BOT_CORE, OTHER_CORE):
        os.sched_setaffinity(pid, {core})


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


def _lives(process: asyncio.subprocess.Process) -> bool:
    if process.returncode is not None:
        raise RuntimeError("a process ended as soon as it began: its words are in var/bench/*.log")
    return True


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def _listens(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
