"""The processes of a bench: on which core they run, what they cost, whether they answer."""

import asyncio
import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
VAR = HERE.parents[1] / "var/bench"
BOT_CORE, OTHER_CORE = 0, 1
"""The bot that is measured has a core of its own; everything else shares the other. What else the
machine runs goes anywhere: where that is allowed, the bot goes before it."""

_BEFORE_OTHERS = -20  # of what it starts, what is nicer stays as much nicer
_TICK = os.sysconf("SC_CLK_TCK")


def run(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """`asyncio.run`, which SIGTERM ends as Ctrl-C does: what was started is ended first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return asyncio.run(work)


@asynccontextmanager
async def child(
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
            preexec_fn=lambda: _own(core),
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM if cwd is None else signal.SIGKILL)
        await process.wait()


def pin(pid: int, core: int) -> None:
    """Keep a process, and its children to come, on one core; not on a machine that has only one."""
    if (os.cpu_count() or 1) > max(BOT_CORE, OTHER_CORE):
        os.sched_setaffinity(pid, {core})


def _own(core: int) -> None:
    pin(0, core)
    if core == BOT_CORE:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, _BEFORE_OTHERS)


async def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait for it.

    Raises:
        TimeoutError: it does not hold after so long.

    """
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


def lives(process: asyncio.subprocess.Process) -> bool:
    """True.

    Raises:
        RuntimeError: the process has ended.

    """
    if process.returncode is not None:
        raise RuntimeError("a process ended as soon as it began: its words are in var/bench/*.log")
    return True


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def listens(port: int) -> bool:
    """Whether anything answers, whatever it says."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def cpu_seconds(pid: int, *, children: bool = False) -> float:
    """Processor time of a process, in user and system mode; with `children`, of those it has."""
    pids = [pid, *(_children(pid) if children else [])]
    return sum(_cpu(one) for one in pids)


def rss_mb(pid: int) -> float:
    """Memory that a process holds (resident set), in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0  # it has ended
    return (int(fields[11]) + int(fields[12])) / _TICK
