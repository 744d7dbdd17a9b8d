"""What a process costs, read from /proc; and a port to listen on."""

import asyncio
import os
import signal
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

_TICK = os.sysconf("SC_CLK_TCK")


def run(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """`asyncio.run`, which SIGTERM ends as Ctrl-C does: what was started is ended first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return asyncio.run(work)


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
