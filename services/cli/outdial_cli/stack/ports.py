"""Free ports on loopback, below the range from which the kernel takes ports for connections."""

import random
import socket
import tempfile
from contextlib import closing
from pathlib import Path

_RANGE = range(20000, 32000)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nobody listens at `port`."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """`count` different free ports, at random, so that two stacks that start at once differ."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_RANGE, len(_RANGE)):
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    return found


def port_lock(port: int) -> Path:
    """A lock on a port that everybody wants: two launchers may look at it before either listens."""
    return Path(tempfile.gettempdir()) / f"outdial-port-{port}.lock"
