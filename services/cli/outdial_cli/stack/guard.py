"""The launcher's side of `watchdog.py`: one stack a folder, and nothing left when we are killed."""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from outdial_cli.stack.child_process import Child

# A watchdog is done within its two graces.
_CLEANING_UP_SECONDS = 10.0


class AlreadyRunningError(Exception):
    """Another launcher runs in this folder. The message is its process id."""


class Guard:
    """Holds `lock` while a stack runs; whatever it was told of is ended if this process is killed.

    There is a second lock, for the watchdog: after a kill, the next launcher waits on it until the
    watchdog has cleaned up.

    Raises:
        AlreadyRunningError: on entry, when another launcher holds the lock.

    """

    def __init__(self, lock: Path) -> None:
        self._lock = lock
        self._cleaning = lock.with_name("cleaning-up.lock")
        self._descriptors: list[int] = []
        self._held: list[Path] = []
        self._watchdog: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._descriptors.append(_take(self._lock, 0))
            os.truncate(self._descriptors[0], 0)
            os.write(self._descriptors[0], f"{os.getpid()}\n".encode())
            self._descriptors.append(_take(self._cleaning, _CLEANING_UP_SECONDS))
        except AlreadyRunningError:
            self._close()
            raise
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("watchdog.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._descriptors[1],),
            start_new_session=True,
            text=True,
        )
        self._tell({"lock": str(self._lock)})
        self.forget_on_death(self._cleaning)
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._watchdog is not None:
            self._tell({"done": True})
            self._watchdog.communicate()
        for path in (*self._held, self._cleaning, self._lock):
            path.unlink(missing_ok=True)
        self._close()

    def hold(self, lock: Path) -> bool:
        """Take another lock for as long as we run; False if somebody else has it."""
        try:
            self._descriptors.append(_take(lock, 0))
        except (AlreadyRunningError, PermissionError):  # ours, or another user's
            return False
        self._held.append(lock)
        self._tell({"lock": str(lock)})
        return True

    def watch(self, child: Child) -> None:
        """End `child` and its group if this process is killed."""
        self._tell({"group": child.pid})

    def forget_on_death(self, path: Path) -> None:
        """Remove `path` if this process is killed (a link: what it points at, too)."""
        self._tell({"path": str(path)})

    def _tell(self, note: dict[str, Any]) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            try:
                self._watchdog.stdin.write(json.dumps(note) + "\n")
                self._watchdog.stdin.flush()
            except BrokenPipeError:
                return  # somebody killed it: the kernel's death signals remain

    def _close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []


def _take(lock: Path, patience: float) -> int:
    """A descriptor that holds `lock`; after `patience` seconds in vain, AlreadyRunningError."""
    deadline = time.monotonic() + patience
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode().strip()
            os.close(descriptor)
            if time.monotonic() >= deadline:
                raise AlreadyRunningError(owner) from None
            time.sleep(0.1)
            continue
        if _is_in_place(descriptor, lock):
            return descriptor
        os.close(descriptor)


def _is_in_place(descriptor: int, lock: Path) -> bool:
    """Whether the locked file is still the one in the folder: its last owner removes it."""
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False
