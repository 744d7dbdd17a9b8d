"""Cleans up after a launcher that was killed. Run as a script; imports the standard library only.

The launcher writes one JSON object a line to our standard input: `{"group": pid}` for a child that
leads a process group, `{"path": "..."}` for a file or folder to remove, `{"lock": "..."}` for the
launcher's lock, `{"done": true}` when it has stopped everything by itself. When the input ends
without `done`, the launcher is gone: its children get a moment to end by themselves, then whatever
is left of their groups is killed.

A lock of our own (a descriptor that we inherit) lets a new launcher wait for us.
"""

import fcntl
import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_GRACE_SECONDS = 3.0


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _end(groups: list[int]) -> None:
    for ask in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, ask)
        deadline = time.monotonic() + _GRACE_SECONDS
        while any(map(_alive, groups)) and time.monotonic() < deadline:
            time.sleep(0.05)


def _remove(path: Path) -> None:
    if path.is_symlink():
        shutil.rmtree(path.readlink(), ignore_errors=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_lock(path: Path) -> None:
    """Unless a new launcher holds it already."""
    with suppress(OSError), path.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def main() -> None:
    """Wait for the launcher's end, and do what it left undone."""
    locks: list[Path] = []
    groups: list[int] = []
    paths: list[Path] = []
    for line in sys.stdin:
        note = json.loads(line)
        if "done" in note:
            return
        if "group" in note:
            groups.append(int(note["group"]))
        elif "lock" in note:
            locks.append(Path(note["lock"]))
        else:
            paths.append(Path(note["path"]))
    _end(list(reversed(groups)))
    for path in reversed(paths):  # the lock that makes a new launcher wait is told first
        _remove(path)
    for lock in locks:
        _remove_lock(lock)


if __name__ == "__main__":
    main()
