"""The stack under trial: processes that can be killed, frozen and started again."""

import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from outdial_cli.stack import services
from outdial_cli.stack.child_process import Child
from outdial_cli.stack.embedded_postgres import EmbeddedPostgres, _end_leftover
from outdial_cli.stack.embedded_redis import EmbeddedRedis
from outdial_cli.stack.launcher import Say
from outdial_cli.stack.options import StackOptions, StackPaths
from outdial_cli.stack.ports import free_ports
from outdial_cli.stack.services import Place, Service
from outdial_cli.stack.stack import Stack

# Shorter than the defaults, in the same proportions: what is lost is found again sooner.
TIMES = {
    "OUTDIAL_CLAIM_LEASE_SECONDS": "12",
    "OUTDIAL_POST_TIMEOUT_SECONDS": "4",
    "OUTDIAL_UNKNOWN_AFTER_SECONDS": "8",
    "OUTDIAL_RING_TIMEOUT_SECONDS": "5",
    "OUTDIAL_SILENT_ATTEMPT_SECONDS": "8",
    "OUTDIAL_CLOSING_PASS_SECONDS": "2",
    "OUTDIAL_SETTLE_ANYWAY_SECONDS": "5",
    "OUTDIAL_HOLD_SECONDS": "1",
    # Each person is tried as often as the template says, today.
    "OUTDIAL_MAX_ATTEMPTS_PER_DAY": "0",
    "OUTDIAL_MAX_ATTEMPTS_PER_WEEK": "0",
}


@dataclass(frozen=True)
class Plan:
    """How many of each there are. `worker_app`: what Celery's workers load."""

    gateways: int = 2
    workers: int = 2
    pods: int = 2
    children: int = 4  # of each worker
    worker_app: str = "outdial_workers.worker_app"
    calls_per_second: float = 20.0
    env: tuple[tuple[str, str], ...] = ()


class House(Stack):
    """A sandboxed stack whose stores keep what they committed when they are killed."""

    def __init__(self, var: Path, plan: Plan, say: Say) -> None:
        options = StackOptions(
            media=plan.pods,
            durable=True,
            fresh=True,
            calls_per_second=plan.calls_per_second,
            ring_seconds=0.1,
            env={**TIMES, **dict(plan.env)},
        )
        super().__init__(StackPaths.under(var), options, say=say)
        self._plan = plan
        self._servers: dict[str, Any] = {}

    @property
    def logs(self) -> Path:
        """What every process has said."""
        return self._paths.log

    def members(self, kind: str) -> list[str]:
        """The processes of a kind (api, worker, beat, media, redis, postgres), by name."""
        return [c.name for c in self._children if c.name.split("-")[0] == kind]

    def child(self, name: str) -> Child:
        """A process as it runs now, or as it was when it died."""
        return next(child for child in self._children if child.name == name)

    def ended(self) -> list[str]:
        """Processes that do not run."""
        return [child.name for child in self._children if not child.is_running()]

    def kill_now(self, name: str) -> None:
        """kill -9, the whole family."""
        self._signal(name, signal.SIGKILL)

    def kill_one_child(self, name: str, draw: int) -> None:
        """kill -9 of one forked child; its parent lives. Without children, of the process."""
        pid = self.child(name).pid
        forked = descendants(pid)
        with suppress(ProcessLookupError):
            os.kill(forked[draw % len(forked)] if forked else pid, signal.SIGKILL)

    def freeze(self, name: str) -> None:
        """SIGSTOP: sockets stay open, nothing moves."""
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        self._signal(name, signal.SIGCONT)

    def start_again(self, name: str, *, empty: bool = False) -> None:
        """A new process in the place of a dead one; `empty`: of a store that has lost everything.

        Call it from the main thread (see `child_process`).
        """
        old = self.child(name)
        self.kill_now(name)
        old.kill()
        data = self._paths.data / name
        if name == "postgres":
            _end_leftover(data)
        elif empty:
            for file in data.iterdir():
                shutil.rmtree(file) if file.is_dir() else file.unlink()
        child = Child(old.spec)
        self._guard.watch(child)
        self._children[self._children.index(old)] = child
        if name in self._servers:
            self._servers[name].child = child

    def _signal(self, name: str, number: signal.Signals) -> None:
        """To all of its processes: Postgres' and Celery's children stand in groups of their own."""
        pid = self.child(name).pid
        for each in (pid, *descendants(pid)):
            with suppress(ProcessLookupError):
                os.kill(each, number)

    def _embedded(self, name: str, kind: type[EmbeddedPostgres | EmbeddedRedis]) -> str:
        def keep(*args: Any, **kwargs: Any) -> EmbeddedPostgres | EmbeddedRedis:
            self._servers[name] = kind(*args, **kwargs)
            return self._servers[name]  # type: ignore[no-any-return]

        return super()._embedded(name, keep)  # type: ignore[arg-type]

    def _services(self) -> list[Service]:
        plan = self._plan
        ports = iter(free_ports(2 + plan.gateways + plan.pods))
        env, far_ends = self._far_ends(next(ports), next(ports))
        gateways = {f"api-{n}": next(ports) for n in range(1, plan.gateways + 1)}
        urls = [f"http://127.0.0.1:{port}" for port in gateways.values()]
        env |= {"PUBLIC_URL": urls[0], "OUTDIAL_FALLBACK_URL": urls[-1]}
        place = self._place(env)
        pods = {f"pod-{n}": next(ports) for n in range(1, plan.pods + 1)}
        addresses = {pod: self._pod_url(pod, port) for pod, port in pods.items()}
        self.info = replace(self.info, api_url=urls[0], pods=list(addresses.values()))
        return [
            *far_ends,
            *(_named(services.gateway(place, port), name) for name, port in gateways.items()),
            *(_worker(place, f"worker-{n}", plan) for n in range(1, plan.workers + 1)),
            services.beat(place),
            *(services.media_pod(place, pod, port, addresses[pod]) for pod, port in pods.items()),
        ]


def _named(service: Service, name: str) -> Service:
    spec = service.spec
    return replace(service, spec=replace(spec, name=name, log=spec.log.with_name(f"{name}.log")))


def _worker(place: Place, name: str, plan: Plan) -> Service:
    """As the launcher starts it, under a name of its own."""
    first = services.worker(place).spec
    command = [part.replace("worker@%h", f"{name}@%h") for part in first.command]
    command[command.index("-A") + 1] = plan.worker_app
    command[command.index("-c") + 1] = str(plan.children)
    log = first.log.with_name(f"{name}.log")
    spec = replace(first, name=name, command=tuple(command), log=log)
    return Service(spec, services._says(log, " ready"))


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on, as /proc has them now."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found
