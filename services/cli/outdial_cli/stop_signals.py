"""Ctrl-C, SIGTERM and a closed terminal all end a launcher the same way: in order."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(BaseException):
    """Somebody asked this process to end. Not an Exception: nothing on the way may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class StopSignals:
    """The first signal raises StopRequestedError; later ones call `hurry`."""

    def __init__(self) -> None:
        self.hurry: Callable[[], None] = lambda: None
        self._asked = False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self._asked:
            self.hurry()
            return
        self._asked = True
        raise StopRequestedError(number)


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Handle the signals while the block runs."""
    signals = StopSignals()
    before = {each: signal.signal(each, signals.on_signal) for each in _SIGNALS}
    try:
        yield signals
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
