"""What a stack is made of, and where its files lie."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class StackPaths:
    """`run` says what is running (one stack a folder); `data` and `log` outlive it."""

    run: Path
    data: Path
    log: Path

    @classmethod
    def under(cls, var: Path) -> "StackPaths":
        """Everything in one folder."""
        var = var.absolute()
        return cls(run=var / "run", data=var, log=var / "log")

    @property
    def stack_file(self) -> Path:
        """Where the running stack's addresses stand."""
        return self.run / "stack.json"

    @property
    def scratch(self) -> Path:
        """For temporary files; gone when nothing runs."""
        return self.run / "tmp"

    @property
    def lock(self) -> Path:
        """Held by the launcher."""
        return self.run / "stack.lock"

    @property
    def key_file(self) -> Path:
        """The first admin key, kept so that the next start has it still."""
        return self.data / "admin.key"


@dataclass(frozen=True)
class StackOptions:
    """How to start. `env` holds settings for every service, and goes before all others."""

    sandbox: bool = True
    media: int = 1
    durable: bool = True
    fresh: bool = False  # forget what earlier runs left in `data` and `log`
    calls_per_second: float = 1.0  # of the sandbox's carrier
    ring_seconds: float = 2.0  # how long the sandbox's people let it ring
    port: int = 8000  # of the gateway, when it is free
    env: dict[str, str] = field(default_factory=dict)
