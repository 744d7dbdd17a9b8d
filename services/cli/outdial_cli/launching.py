"""How a launcher ends, in words: a signal, a child that failed, a launcher that was there first."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from outdial_cli.failure import CommandFailedError
from outdial_cli.output import err
from outdial_cli.stack.child_process import ChildFailedError
from outdial_cli.stack.guard import AlreadyRunningError
from outdial_cli.stop_signals import StopRequestedError, StopSignals, stop_signals


@contextmanager
def launching(*, until_stopped: bool) -> Iterator[StopSignals]:
    """Run a stack within this. `until_stopped`: being stopped is its normal end (exit 0)."""
    try:
        with stop_signals() as signals:
            yield signals
    except StopRequestedError as stop:
        err.print("Stopped.")
        raise typer.Exit(0 if until_stopped else stop.exit_code) from None
    except AlreadyRunningError as error:
        raise CommandFailedError(
            f"Outdial already runs in this folder (process {error}): use it, or stop it first."
        ) from None
    except ChildFailedError as error:
        raise CommandFailedError(str(error)) from None
