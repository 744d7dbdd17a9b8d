"""The sandbox by itself: somebody else's Twilio application runs on it as it is."""

from dataclasses import dataclass
from pathlib import Path

from outdial_cli.stack import environment, services
from outdial_cli.stack.child_process import ChildFailedError
from outdial_cli.stack.launcher import Launcher
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


class SandboxOnly(Launcher):
    """Carrier and providers. ChildFailedError on entry also when a port is taken."""

    def __init__(self, var: Path, settings: SandboxSettings) -> None:
        made_up = environment.SandboxKeys()
        self._settings = settings
        self._sid = settings.account_sid or made_up.account_sid
        self._token = settings.auth_token or made_up.auth_token
        self._folder = var.absolute() / "sandbox-only"
        super().__init__(self._folder / "stack.lock", say=lambda _line: None)

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
        for port in (settings.port, settings.providers_port):
            if not is_free(port):
                raise ChildFailedError(
                    f"Port {port} is taken: choose others with --port and --providers-port."
                )
        place = Place(environment.base(), self._folder / "log", self._scratch(self._folder / "tmp"))
        account = {
            "account-sid": self._sid,
            "auth-token": self._token,
            "calls-per-second": f"{settings.calls_per_second:g}",
        }
        self._start_services(
            (
                services.carrier(place, settings.port, self._folder, account),
                services.providers(place, settings.providers_port),
            )
        )
