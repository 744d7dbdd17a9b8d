"""How long something took, without the time for which the machine was busy with other things.

The kernel counts for each thread how long it was ready to run and did not (the second number of
/proc/<pid>/schedstat, Documentation/scheduler/sched-stats.rst). On an idle machine that is nothing;
on a busy one it is the part of a silence that no agent could have filled.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stretch:
    """A stretch of time: on the wall, and starved (this process, and the providers it started)."""

    wall: float  # when it began; once it has ended: how long it was
    starved: float

    @classmethod
    def begin(cls) -> "Stretch":
        """One that begins now."""
        return cls(time.monotonic(), starved_seconds())

    def ended(self) -> "Stretch":
        """The same, over."""
        return Stretch(time.monotonic() - self.wall, starved_seconds() - self.starved)

    @property
    def seconds(self) -> float:
        """How long it would have been on a machine that does nothing else."""
        return max(0.0, self.wall - self.starved)

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s ({self.wall:.2f} on the wall, {self.starved:.2f} starved)"


_KEEP_NOBODY_WAITING = frozenset({"postgres", "redis-server"})
"""No sound waits for the stores: what they were kept from is no excuse."""


def starved_seconds() -> float:
    """So far, of all threads. Those of one process that wait at once are all counted."""
    return sum(map(_starved, _family(os.getpid())))


def _starved(pid: int) -> float:
    found = 0
    for thread in _threads(pid):
        with suppress(OSError, IndexError, ValueError):  # it ended meanwhile
            found += int((thread / "schedstat").read_text().split()[1])
    return found / 1e9


def _family(pid: int) -> list[int]:
    with suppress(OSError):
        if Path(f"/proc/{pid}/comm").read_text().strip() in _KEEP_NOBODY_WAITING:
            return []
    found = [pid]
    for thread in _threads(pid):
        with suppress(OSError):
            for child in (thread / "children").read_text().split():
                found += _family(int(child))
    return found


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
