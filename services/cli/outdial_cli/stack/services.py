"""How each service is started, and how one sees that it is ready."""

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from outdial_cli.stack.child_process import ChildSpec

_WORKER = ("celery", "-A", "outdial_workers.worker_app", "worker")
_CLOCK = ("celery", "-A", "outdial_workers.clock_app")


@dataclass(frozen=True)
class Service:
    """One process of the stack: what to start, when it is ready, and how patient to be."""

    spec: ChildSpec
    ready: Callable[[], bool]
    patience: float = 60.0

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.spec.name


@dataclass(frozen=True)
class Place:
    """Where services run: their environment, and folders for logs and temporary files."""

    env: Mapping[str, str]
    log: Path
    scratch: Path

    def spec(self, name: str, *command: str, **env: str) -> ChildSpec:
        """A Python module as a child called `name`."""
        return ChildSpec(
            name=name,
            command=(sys.executable, "-m", *command),
            env={**self.env, "TMPDIR": str(self.scratch), **env},
            log=self.log / f"{name.replace(' ', '-')}.log",
            cwd=self.scratch,  # no .env there: the environment is all that a service reads
            # A pod asked to stop gently would go on talking; without a launcher nobody listens.
            death_signal=signal.SIGKILL,
        )


def carrier(place: Place, port: int, data: Path, arguments: Mapping[str, str]) -> Service:
    """The sandbox's telephone network."""
    options = {"host": "127.0.0.1", "port": str(port), "data": str(data), **arguments}
    spec = place.spec("sandbox-carrier", "outdial_sandbox", "carrier", *_flags(options))
    return Service(spec, _answers(f"http://127.0.0.1:{port}/sandbox/health"))


def providers(place: Place, port: int) -> Service:
    """The sandbox's speech and language providers."""
    options = {"host": "127.0.0.1", "port": str(port)}
    spec = place.spec("sandbox-providers", "outdial_sandbox", "providers", *_flags(options))
    return Service(spec, _answers(f"http://127.0.0.1:{port}/sandbox/health"))


def gateway(place: Place, port: int) -> Service:
    """REST and Twilio's webhooks."""
    spec = place.spec("api", "outdial_api", OUTDIAL_PORT=str(port))
    return Service(spec, _answers(f"http://127.0.0.1:{port}/ready"))


def worker(place: Place) -> Service:
    """The Celery worker. It reports its tasks once a Flower asks it to."""
    spec = place.spec(
        "worker",
        *_WORKER,
        *("-Q", "dial,settle,sweep"),
        *("-c", "5"),  # about two of them wait for the next departure
        *("--hostname", "worker@%h"),
        *("--loglevel", "INFO"),
        "--without-gossip",
        "--without-mingle",
    )
    return Service(spec, _says(spec.log, " ready"))


def beat(place: Place) -> Service:
    """Celery's clock: the dispatch tick and the sweeps."""
    schedule = place.scratch / "beat-schedule"
    spec = place.spec("beat", *_CLOCK, "beat", "--schedule", str(schedule), "--pidfile", "")
    return Service(spec, _says(spec.log, "beat: Starting"))


def flower(place: Place, port: int, user: str) -> Service:
    """Celery's monitor, for `user` (name:password) alone.

    It is on loopback, but so is every page in the operator's browser, and it can stop workers.
    """
    spec = place.spec(
        "flower",
        *_CLOCK,
        "flower",
        "--address=127.0.0.1",
        f"--port={port}",
        FLOWER_BASIC_AUTH=user,
    )
    return Service(spec, _answers(f"http://127.0.0.1:{port}/healthcheck"))


def media_pod(place: Place, pod: str, port: int, public_url: str) -> Service:
    """A media pod; its models take some seconds to load."""
    spec = place.spec(
        f"media-{pod}",
        "outdial_media",
        OUTDIAL_POD_ID=pod,
        OUTDIAL_POD_PUBLIC_URL=public_url,
        OUTDIAL_PORT=str(port),
    )
    return Service(spec, _answers(f"http://127.0.0.1:{port}/health"), patience=120)


def front_door(place: Place, port: int, gateway_port: int, pods: Mapping[str, int]) -> Service:
    """One address for gateway and pods."""
    flags = _flags({"port": str(port), "gateway": str(gateway_port)})
    flags += [part for pod, at in pods.items() for part in ("--pod", f"{pod}={at}")]
    spec = place.spec("front-door", "outdial_cli.stack.front_door", *flags)
    return Service(spec, _answers(f"http://127.0.0.1:{port}/health"))


def _flags(options: Mapping[str, str]) -> list[str]:
    return [part for key, value in options.items() for part in (f"--{key}", value)]


def _answers(url: str) -> Callable[[], bool]:
    """Ready when `url` answers 200. Proxies of the environment are for others."""

    def ready() -> bool:
        try:
            with httpx.Client(trust_env=False, timeout=2) as client:
                return client.get(url).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return ready


def _says(log: Path, words: str) -> Callable[[], bool]:
    """Ready when the log, from here on, holds `words`."""
    start = log.stat().st_size if log.exists() else 0

    def ready() -> bool:
        with log.open("rb") as file:
            file.seek(start)
            return words.encode() in file.read()

    return ready
