"""A whole Outdial on one machine, as children of this process."""

import secrets
import shutil
import time
from dataclasses import replace

from outdial.settings import Settings, socket_of_pod
from outdial.storage.schema import upgrade
from outdial_cli.stack import environment, services
from outdial_cli.stack.admin_key import admin_key
from outdial_cli.stack.child_process import ChildFailedError
from outdial_cli.stack.embedded_postgres import EmbeddedPostgres
from outdial_cli.stack.embedded_redis import EmbeddedRedis
from outdial_cli.stack.launcher import Launcher, Say
from outdial_cli.stack.options import StackOptions, StackPaths
from outdial_cli.stack.ports import free_ports, is_free, port_lock
from outdial_cli.stack.services import Place, Service
from outdial_cli.stack.socket_folder import forget_socket_folder, socket_folder
from outdial_cli.stack.stack_file import StackInfo, write_stack_file


class Stack(Launcher):
    """Stores, gateway, workers, beat, Flower, pods, and the sandbox or a front door.

    `settings` are those of the user, for a stack that makes real calls; None for the sandbox.
    """

    def __init__(
        self,
        paths: StackPaths,
        options: StackOptions,
        settings: Settings | None = None,
        say: Say = lambda _line: None,
    ) -> None:
        super().__init__(paths.lock, say)
        self._paths = paths
        self._options = options
        self._settings = settings
        self.info = StackInfo(api_url="", api_key="", postgres="", redis="")

    def _start(self) -> None:
        if self._options.fresh:  # only now: the guard says that nobody else uses them
            for folder in (self._paths.data, self._paths.log):
                shutil.rmtree(folder, ignore_errors=True)
        for folder in (self._paths.run, self._paths.data, self._paths.log):
            folder.mkdir(parents=True, exist_ok=True)
        self._scratch(self._paths.scratch)
        self._start_stores()
        self._say("bringing the database's schema up to date ...")
        upgrade(self.info.postgres)
        key = admin_key(self.info.postgres, self._paths.key_file)
        self.info = replace(self.info, api_key=key)
        self._start_services(self._services())
        self._guard.forget_on_death(self._paths.stack_file)
        self._undo.callback(self._paths.stack_file.unlink, missing_ok=True)
        pids = {child.name: child.pid for child in self._children}
        self.info = replace(self.info, pids=pids)
        write_stack_file(self._paths.stack_file, self.info)

    def _start_stores(self) -> None:
        given = self._settings
        postgres = given.database_url if given else ""
        redis = given.redis_url if given else ""
        self.info = replace(
            self.info,
            postgres=postgres or self._embedded("postgres", EmbeddedPostgres),
            redis=redis or self._embedded("redis", EmbeddedRedis),
        )

    def _embedded(self, name: str, kind: type[EmbeddedPostgres | EmbeddedRedis]) -> str:
        self._say(f"starting {name} ...")
        link = self._paths.run / name
        self._guard.forget_on_death(link)
        self._undo.callback(forget_socket_folder, link)
        server = kind(
            self._paths.data / name,
            socket_folder(link),
            self._paths.log / f"{name}.log",
            durable=self._options.durable,
        )
        self._undo.callback(server.stop)
        server.start(self._guard.watch)
        if server.child is not None:
            self._children.append(server.child)
        return server.url()

    def _stop_services(self) -> None:
        """Callers first, then those that they call, the stores last (they stop by themselves)."""
        running = [child for child in self._children if child.name not in {"postgres", "redis"}]
        patience = 5.0 if self._settings is None else 60.0
        for child in running:
            if child.name in {"beat", "flower"} or child.name.startswith(("worker", "media")):
                child.signal_stop()
        deadline = time.monotonic() + patience
        for child in reversed(running):
            child.stop(max(0.5, deadline - time.monotonic()))

    def _services(self) -> list[Service]:
        options = self._options
        ports = iter(free_ports(5 + options.media))
        public_port = self._public_port(next(ports))
        # Real calls come through one tunnel: then a front door stands before gateway and pods.
        gateway_port = public_port if options.sandbox else next(ports)
        local, flower_port = f"http://127.0.0.1:{public_port}", next(ports)
        pod_ports = {f"pod-{n}": next(ports) for n in range(1, options.media + 1)}
        env, first = self._far_ends(next(ports), next(ports))
        env.setdefault("PUBLIC_URL", local)
        place = self._place(env)
        urls = {pod: self._pod_url(pod, port) for pod, port in pod_ports.items()}
        watcher = f"outdial:{secrets.token_urlsafe(12)}"
        self.info = replace(
            self.info,
            api_url=local,
            flower_url=f"http://{watcher}@127.0.0.1:{flower_port}",
            pods=list(urls.values()),
        )
        last = (
            []
            if options.sandbox
            else [services.front_door(place, public_port, gateway_port, pod_ports)]
        )
        return [
            *first,
            services.gateway(place, gateway_port),
            services.worker(place),
            services.beat(place),
            services.flower(place, flower_port, watcher),
            *(services.media_pod(place, pod, port, urls[pod]) for pod, port in pod_ports.items()),
            *last,
        ]

    def _public_port(self, other: int) -> int:
        wanted = self._options.port
        if self._guard.hold(port_lock(wanted)) and is_free(wanted):
            return wanted
        if self._options.sandbox:
            return other
        raise ChildFailedError(
            f"Port {wanted}, to which your tunnel leads, is taken: free it, or set OUTDIAL_PORT."
        )

    def _place(self, env: dict[str, str]) -> Place:
        stores = {"DATABASE_URL": self.info.postgres, "REDIS_URL": self.info.redis}
        own = {"OUTDIAL_SECRET_KEY": secrets.token_hex(32), "OUTDIAL_HOST": "127.0.0.1"}
        merged = {**environment.base(), **own, **env, **stores, **self._options.env}
        return Place(merged, self._paths.log, self._paths.scratch)

    def _far_ends(
        self, carrier_port: int, providers_port: int
    ) -> tuple[dict[str, str], list[Service]]:
        """The carrier and the providers: the user's own, or the sandbox."""
        if self._settings is not None:
            return environment.plain(self._settings), []
        keys = environment.SandboxKeys()
        carrier, providers = (f"http://127.0.0.1:{p}" for p in (carrier_port, providers_port))
        self.info = replace(self.info, carrier_url=carrier, providers_url=providers)
        place = Place(environment.base(), self._paths.log, self._paths.scratch)
        rate = f"{self._options.calls_per_second:g}"
        arguments = {
            "account-sid": keys.account_sid,
            "auth-token": keys.auth_token,
            "calls-per-second": rate,
            "ring-seconds": f"{self._options.ring_seconds:g}",
        }
        env = environment.sandbox_settings(keys, carrier, providers)
        return {**env, "OUTDIAL_CALLS_PER_SECOND": rate}, [
            services.carrier(place, carrier_port, self._paths.data / "sandbox", arguments),
            services.providers(place, providers_port),
        ]

    def _pod_url(self, pod: str, port: int) -> str:
        given = self._settings
        if given is None:
            return f"ws://127.0.0.1:{port}/pods/{pod}"
        if "pod_public_url" in given.model_fields_set and self._options.media == 1:
            return given.pod_public_url
        return socket_of_pod(given.public_url, pod)
