"""The sandbox by itself: somebody else's Twilio application runs on it as it is."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from outdial_cli.stack import environment, services
from outdial_cli.stack.child_process import Child, ChildFailedError
from outdial_cli.stack.guard import Guard
from outdial_cli.stack.ports import is_free
from outdial_cli.stack.services import Place


@dataclass(frozen=True)
class SandboxSettings:
    """Where it listens, and the account it plays; empty credentials are made up."""

    port: int
    providers_port: int
    account_sid: str = ""
    auth_token: str = ""
    calls_per_second: float = 1.0


class SandboxOnly:
    """Carrier and providers, started on entry and stopped on exit.

    Raises:
        ChildFailedError: on entry, when a port is taken or a process does not start.

    """

    def __init__(self, var: Path, settings: SandboxSettings) -> None:
        made_up = environment.SandboxKeys()
        self._settings = settings
        self._sid = settings.account_sid or made_up.account_sid
        self._token = settings.auth_token or made_up.auth_token
        self._folder = var.absolute() / "sandbox-only"
        self._children: list[Child] = []
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        try:
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
        """Raise ChildFailedError if a process has ended."""
        for child in self._children:
            child.check()

    def introduction(self) -> str:
        """What a user sets in their application."""
        carrier = f"http://127.0.0.1:{self._settings.port}"
        providers = f"http://127.0.0.1:{self._settings.providers_port}"
        return "\n".join(
            (
                "The sandbox is up. In your application:",
                f"  Twilio:   account {self._sid}, auth token {self._token}",
                f'            client.api.base_url = "{carrier}"',
                f"  Deepgram: base URL {providers} (ws for sockets), any key",
                f"  Groq:     base URL {providers}, any key",
                f"Who answers which number: {carrier}/sandbox/people",
                f"What really happened:     {carrier}/sandbox/ledger",
                f"Recordings:               {self._folder / 'recordings'}",
                "Ctrl-C stops it.",
            )
        )

    def _start(self) -> None:
        settings = self._settings
        guard = self._undo.enter_context(Guard(self._folder / "stack.lock"))
        for port in (settings.port, settings.providers_port):
            if not is_free(port):
                raise ChildFailedError(
                    f"Port {port} is taken: choose others with --port and --providers-port."
                )
        place = Place(environment.base(), self._folder / "log", self._folder)
        account = {
            "account-sid": self._sid,
            "auth-token": self._token,
            "calls-per-second": f"{settings.calls_per_second:g}",
        }
        for service in (
            services.carrier(place, settings.port, self._folder, account),
            services.providers(place, settings.providers_port),
        ):
            child = Child(service.spec)
            self._undo.callback(child.stop, 3)
            guard.watch(child)
            self._children.append(child)
            child.wait_until(service.ready, service.patience)
