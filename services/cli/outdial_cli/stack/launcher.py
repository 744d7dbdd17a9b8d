"""Children that start on entry and stop on exit."""

import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from outdial_cli.stack.child_process import Child
from outdial_cli.stack.guard import Guard
from outdial_cli.stack.services import Service

Say = Callable[[str], None]

_PATIENCE_SECONDS = 3.0


class Launcher(ABC):
    """Stops everything in reverse order, also when only some of it has started.

    Enter it from the main thread (see `child_process`).

    Raises:
        AlreadyRunningError: on entry, when another launcher holds `lock`.
        ChildFailedError: on entry, naming the child and the last lines of its log.

    """

    def __init__(self, lock: Path, say: Say) -> None:
        self._guard = Guard(lock)
        self._say = say
        self._children: list[Child] = []
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._undo.enter_context(self._guard)
            self._start()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    def check(self) -> None:
        """Raise ChildFailedError if a child has ended."""
        for child in self._children:
            child.check()

    def kill(self) -> None:
        """End every child now, whatever it is doing."""
        for child in self._children:
            child.kill()

    @abstractmethod
    def _start(self) -> None:
        """Start what there is; `_undo` undoes it."""

    def _scratch(self, folder: Path) -> Path:
        """`folder` for temporary files, gone with us: who is killed leaves some."""
        self._guard.forget_on_death(folder)
        self._undo.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _start_services(self, services: Iterable[Service]) -> None:
        """Start all of them at once, then wait for each: most of their start is importing."""
        self._undo.callback(self._stop_services)
        started = [(service, self._child(service)) for service in services]
        begun = time.monotonic()
        for service, child in started:
            child.wait_until(service.ready, service.patience)
            self._say(f"  {service.name} is ready ({time.monotonic() - begun:.1f} s)")

    def _child(self, service: Service) -> Child:
        self._say(f"starting {service.name} ...")
        child = Child(service.spec)
        self._guard.watch(child)
        self._children.append(child)
        return child

    def _stop_services(self) -> None:
        """All at once; each has a moment."""
        for child in self._children:
            child.signal_stop()
        for child in reversed(self._children):
            child.stop(_PATIENCE_SECONDS)
