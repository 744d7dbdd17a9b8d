"""Children that die with us: each in a process group of its own, its output in a log file.

On Linux the kernel sends a child `death_signal` when the thread that started it dies (so start
children from the main thread). `watchdog.py` sees to the rest: grandchildren, and other systems.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from outdial_cli.stack.run_as import RunAs, become

_PR_SET_PDEATHSIG = 1


class ChildFailedError(Exception):
    """A child ended, or did not become ready. The message has the last lines of its log."""


@dataclass(frozen=True)
class ChildSpec:
    """What to start. `env` is the whole environment; `user` only matters when we are root."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGTERM
    user: RunAs | None = None


class Child:
    """A running child, the leader of its own process group."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self._asked = False
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        with spec.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(spec.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(spec.env),
                cwd=spec.cwd,
                start_new_session=True,
                preexec_fn=_before_exec(spec),
            )

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.spec.name

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group's."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raise ChildFailedError if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise ChildFailedError(f"{self.name} ended ({_how(code)}).\n{self.last_lines()}")

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Poll `ready` until it holds.

        Raises:
            ChildFailedError: the child ended first, or `seconds` passed.

        """
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ChildFailedError(
                    f"{self.name} was not ready within {seconds:.0f} s.\n{self.last_lines()}"
                )
            time.sleep(0.05)

    def last_lines(self, count: int = 15) -> str:
        """The end of its log, for a message."""
        try:
            with self.spec.log.open(encoding="utf-8", errors="replace") as log:
                lines = deque(log, maxlen=count)
        except OSError:
            lines = deque()
        return f"Its log, {self.spec.log}, ends with:\n" + "".join(f"  | {line}" for line in lines)

    def signal_stop(self) -> None:
        """Ask it to stop, once, without waiting: Celery takes a second time for haste."""
        if self._asked:
            return
        self._asked = True
        with suppress(ProcessLookupError):
            self._process.send_signal(self.spec.stop_signal)

    def stop(self, seconds: float = 10) -> None:
        """Ask it to stop, wait, and kill what is left of its process group."""
        self.signal_stop()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Kill it and every process of its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _before_exec(spec: ChildSpec) -> Callable[[], None]:
    """What the child does between fork and exec: change user, and tie its life to ours."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

    def before_exec() -> None:
        if spec.user is not None:
            become(spec.user)
        if prctl is not None:  # after the change of user, which clears it
            prctl(_PR_SET_PDEATHSIG, int(spec.death_signal))
        if os.getppid() != parent:  # the parent died in between
            os._exit(1)

    return before_exec
