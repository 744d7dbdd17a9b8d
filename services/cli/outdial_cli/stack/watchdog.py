"""Cleans up after a launcher that was killed. Run as a script; imports the standard library only.

The launcher writes one JSON object a line to our standard input: `{"group": pid}` for a child that
leads a process group, `{"path": "..."}` for a file or folder to remove, `{"done": true}` when it
has stopped everything by itself. When the input ends without `done`, the launcher is gone: its
children get a moment to end by themselves, then whatever is left of their groups is killed.

We also hold the folder's lock (its descriptor is inherited), so that a new launcher waits for us.
"""

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


def main() -> None:
    """Wait for the launcher's end, and do what it left undone."""
    groups: list[int] = []
    paths: list[Path] = []
    for line in sys.stdin:
        note = json.loads(line)
        if "done" in note:
            return
        if "group" in note:
            groups.append(int(note["group"]))
        else:
            paths.append(Path(note["path"]))
    _end(list(reversed(groups)))
    for path in paths:
        _remove(path)


if __name__ == "__main__":
    main()
