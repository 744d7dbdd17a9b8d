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

# A watchdog is done within its two graces; whoever holds the lock longer is at work.
_TAKE_OVER_SECONDS = 10.0


class AlreadyRunningError(Exception):
    """Another launcher runs in this folder."""


class Guard:
    """Holds `lock` while a stack runs; whatever it was told of is ended if this process is killed.

    Raises:
        AlreadyRunningError: on entry, when another launcher holds the lock.

    """

    def __init__(self, lock: Path) -> None:
        self._lock = lock
        self._descriptor = -1
        self._watchdog: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._take()
        os.truncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("watchdog.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._descriptor,),
            start_new_session=True,
            text=True,
        )
        self.forget_on_death(self._lock)
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._watchdog is not None:
            self._tell({"done": True})
            self._watchdog.communicate()
        self._lock.unlink(missing_ok=True)
        os.close(self._descriptor)

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
            except BrokenPipeError:  # somebody killed it: the kernel's death signals remain
                self._watchdog = None

    def _take(self) -> int:
        deadline = time.monotonic() + _TAKE_OVER_SECONDS
        while True:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(descriptor, 32, 0).decode().strip()
                os.close(descriptor)
                if time.monotonic() > deadline or (owner.isdigit() and _runs(int(owner))):
                    raise AlreadyRunningError(owner) from None
                time.sleep(0.1)  # its owner was killed: the watchdog is cleaning up
                continue
            if self._is_current(descriptor):
                return descriptor
            os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        """Whether the locked file is still the one in the folder: its last owner removes it."""
        try:
            return os.path.samestat(os.fstat(descriptor), self._lock.stat())
        except FileNotFoundError:
            return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
