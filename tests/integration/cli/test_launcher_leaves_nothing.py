"""Children die with their launcher, however it ends, and the next one starts clean."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from outdial_cli.stack.child_process import Child, ChildFailedError, ChildSpec
from outdial_cli.stack.guard import AlreadyRunningError, Guard
from polling import wait_until

pytestmark = pytest.mark.integration

LAUNCHER = """
import os, sys, time
from pathlib import Path
from outdial_cli.stack.child_process import Child, ChildSpec
from outdial_cli.stack.embedded_postgres import EmbeddedPostgres
from outdial_cli.stack.embedded_redis import EmbeddedRedis
from outdial_cli.stack.guard import Guard
from outdial_cli.stack.socket_folder import socket_folder

base = Path(sys.argv[1])
with Guard(base / "run" / "stack.lock") as guard:
    for name, kind in (("postgres", EmbeddedPostgres), ("redis", EmbeddedRedis)):
        guard.forget_on_death(base / "run" / name)
        folder = socket_folder(base / "run" / name)
        server = kind(base / name, folder, base / f"{name}.log", durable=False)
        server.start(guard.watch)
        print(server.child.pid, flush=True)
    # A child that hears no signal, with a child of its own.
    stubborn = "trap '' TERM INT; sleep 1000 & echo $! > grandchild; while true; do sleep 1; done"
    child = Child(ChildSpec("stubborn", ["/bin/sh", "-c", stubborn], dict(os.environ),
                            base / "stubborn.log", cwd=base))
    guard.watch(child)
    written = base / "grandchild"
    child.wait_until(lambda: written.exists() and written.read_text().endswith("\\n"), 10)
    print(child.pid, flush=True)
    print("up", flush=True)
    time.sleep(1000)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], list[int]]]]:
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], list[int]]:
        (tmp_path / "grandchild").unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(4)]
        assert lines[-1] == "up", lines
        return process, [*map(int, lines[:3]), int((tmp_path / "grandchild").read_text())]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_kill_9_leaves_nothing_and_the_next_start_works(
    launcher: Callable[[], tuple[subprocess.Popen[str], list[int]]], tmp_path: Path
) -> None:
    process, pids = launcher()
    assert all(map(alive, pids))
    process.kill()
    wait_until(lambda: not any(map(alive, pids)))
    wait_until(lambda: not list((tmp_path / "run").iterdir()))

    _, pids = launcher()  # on the same folders
    assert all(map(alive, pids))


def test_a_second_launcher_waits_for_the_cleaning_up_of_a_killed_one(
    launcher: Callable[[], tuple[subprocess.Popen[str], list[int]]],
) -> None:
    process, before = launcher()
    process.kill()
    _, after = launcher()  # at once: the watchdog is still at work
    assert not any(map(alive, before))
    assert all(map(alive, after))


def test_one_launcher_a_folder(tmp_path: Path) -> None:
    lock = tmp_path / "stack.lock"
    with Guard(lock), pytest.raises(AlreadyRunningError, match=str(os.getpid())), Guard(lock):
        pass
    assert not lock.exists()
    with Guard(lock):
        assert lock.exists()


def test_a_lock_file_left_behind_is_taken_over(tmp_path: Path) -> None:
    lock = tmp_path / "stack.lock"
    lock.write_text("1\n")  # a process that runs, but holds nothing
    with Guard(lock):
        assert lock.read_text() == f"{os.getpid()}\n"


def _child(tmp_path: Path, script: str) -> Child:
    spec = ChildSpec("it", ["/bin/sh", "-c", script], dict(os.environ), tmp_path / "it.log")
    return Child(spec)


def test_a_child_that_ends_is_named_with_its_last_words(tmp_path: Path) -> None:
    child = _child(tmp_path, "echo no such thing; exit 3")
    with pytest.raises(ChildFailedError, match=r"it ended \(exit code 3\)(.|\n)*no such thing"):
        child.wait_until(lambda: False, 10)


def test_a_child_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    child = _child(tmp_path, "sleep 1000")
    with pytest.raises(ChildFailedError, match="not ready within"):
        child.wait_until(lambda: False, 0.2)
    child.stop()
    assert not alive(child.pid)


def test_a_child_that_does_not_stop_is_killed_with_its_group(tmp_path: Path) -> None:
    child = _child(tmp_path, f"trap '' TERM; sleep 1000 & echo $! > {tmp_path}/g; wait; sleep 99")
    wait_until(lambda: (tmp_path / "g").exists() and (tmp_path / "g").read_text() != "")
    grandchild = int((tmp_path / "g").read_text())
    child.stop(0.2)
    wait_until(lambda: not alive(child.pid) and not alive(grandchild))


def test_postgres_starts_over_the_pid_file_of_a_dead_one(tmp_path: Path) -> None:
    from outdial_cli.stack.embedded_postgres import EmbeddedPostgres

    server = EmbeddedPostgres(tmp_path / "d", tmp_path / "s", tmp_path / "log", durable=False)
    server.start()
    assert server.child is not None
    os.kill(server.child.pid, signal.SIGKILL)
    server.stop()
    pid_file = tmp_path / "d" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))  # the number was given anew
    server.start()
    psycopg.connect(server.url()).close()
    server.stop()
    assert not pid_file.exists()
