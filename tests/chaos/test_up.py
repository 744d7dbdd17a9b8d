"""`outdial up --sandbox` as a user runs it: Ctrl-C, kill -9, twice, in two folders."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from polling import wait_until

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.usefixtures("beside_calls"),
    pytest.mark.timeout(300),
]

Up = Callable[[Path], subprocess.Popen[str]]


@pytest.fixture
def up() -> Iterator[Up]:
    """Start `outdial up --sandbox` in a folder; whatever is started is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path) -> subprocess.Popen[str]:
        folder.mkdir(exist_ok=True)
        with (folder / "up.txt").open("a") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "outdial_cli", "up", "--sandbox"],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
    for process in started:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def running(folder: Path) -> dict[str, Any] | None:
    file = folder / "var" / "run" / "stack.json"
    return json.loads(file.read_text()) if file.exists() else None


def processes_of(folder: Path) -> list[str]:
    """Every process that works in the folder, by its directory or its arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                where = str((entry / "cwd").readlink())
            except OSError:
                continue
            if words and (str(folder) in words or where.startswith(str(folder))):
                found.append(words)
    return found


def started(folder: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    def ready() -> bool:
        assert process.poll() is None, (folder / "up.txt").read_text()
        return "Ctrl-C stops everything" in (folder / "up.txt").read_text()

    wait_until(ready, 120, "the stack is up")
    info = running(folder)
    assert info is not None, (folder / "up.txt").read_text()
    return info


def leftovers(folder: Path) -> list[str]:
    run = folder / "var" / "run"
    return [p.name for p in run.iterdir() if p.is_socket() or p.suffix in {".lock", ".json"}]


def test_kill_9_then_a_new_start_then_ctrl_c(up: Up, tmp_path: Path) -> None:
    first = up(tmp_path)
    before = started(tmp_path, first)

    second = up(tmp_path)
    assert second.wait(60) == 1
    assert f"already runs in this folder (process {first.pid})" in (tmp_path / "up.txt").read_text()

    first.kill()
    first.wait()
    wait_until(lambda: not processes_of(tmp_path), 30, "no process is left")
    assert leftovers(tmp_path) == []

    (tmp_path / "up.txt").unlink()
    third = up(tmp_path)
    after = started(tmp_path, third)
    assert after["api_key"] == before["api_key"]  # the first admin key, kept with the data

    third.send_signal(signal.SIGINT)
    assert third.wait(60) == 0
    wait_until(lambda: not processes_of(tmp_path), 10, "no process is left")
    assert leftovers(tmp_path) == []


def test_two_folders_at_once_and_a_child_that_dies(up: Up, tmp_path: Path) -> None:
    folders = stays, breaks = [tmp_path / "a", tmp_path / "b"]
    processes = [up(folder) for folder in folders]
    infos = [started(*pair) for pair in zip(folders, processes, strict=True)]
    assert infos[0]["api_url"] != infos[1]["api_url"]

    os.kill(infos[1]["pids"]["redis"], signal.SIGKILL)
    assert processes[1].wait(30) == 1
    assert "redis ended (killed by SIGKILL)" in (breaks / "up.txt").read_text()
    assert processes_of(breaks) == []

    assert processes[0].poll() is None  # the other one is none the worse
    processes[0].send_signal(signal.SIGTERM)
    assert processes[0].wait(60) == 0
    assert processes_of(stays) == []
