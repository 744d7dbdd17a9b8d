"""The stock bot: what `pipecat init` writes for a telephone bot with Twilio, Deepgram and Groq.

It is generated on each run, and nothing of it is changed but the addresses of its providers.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from media_lab import Lab
from media_processes import BOT_CORE, VAR, child, free_port, listens, lives, until

PIPECAT = "pipecat-ai[cli,runner,deepgram,groq,websocket,silero]==1.14.0"
INIT = (
    "init", "stockbot", "--no-context-hub", "-b", "telephony", "-t", "twilio", "-m", "cascade",
    "--stt", "deepgram_stt", "--llm", "groq_llm", "--tts", "deepgram_tts",
)  # fmt: skip


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
        _address(folder / "bot.py", lab)
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
        } | lab.environment
        async with child(command, env=env, cwd=folder, core=BOT_CORE) as process:
            await until(lambda: lives(process) and listens(port), 90)
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


def _address(bot: Path, lab: Lab) -> None:
    """Point the bot at the stand-ins. A scaffold that changed stops the bench here."""
    ws = lab.secure_url.replace("http", "ws", 1)
    _replace(bot, "https://api.twilio.com", lab.providers_url)
    for service in ("DeepgramSTTService(", "DeepgramTTSService("):
        _replace(bot, f"= {service}", f'= {service}base_url="{ws}", ')
    _replace(bot, "= GroqLLMService(", f'= GroqLLMService(base_url="{lab.secure_url}/openai/v1", ')


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if old not in text:
        raise RuntimeError(f"{path.name} has no {old!r} any more: the bench must be adapted to it")
    path.write_text(text.replace(old, new, 1))
