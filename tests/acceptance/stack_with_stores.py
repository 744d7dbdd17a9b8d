"""A whole stack whose stores can be taken away and given back; its calls have no sound."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis
from outdial_cli.api_client import ApiClient, Json
from outdial_cli.stack.embedded_postgres import EmbeddedPostgres
from outdial_cli.stack.embedded_redis import EmbeddedRedis
from outdial_cli.stack.options import StackOptions, StackPaths
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
}
TEMPLATE = {
    "slug": "outage",
    "agent": {"name": "Ada", "greeting": "Hello, this is an AI.", "prompt": "Be brief."},
    "retry": {
        "max_retries": 4,
        "cooldowns": dict.fromkeys(
            ("busy", "no_answer", "failed", "canceled", "technical_failure", "hung_up", "silent"), 2
        ),
        "finish_on": ["completed", "hung_up", "opted_out", "silent"],
    },
    "recording": False,
}


class StackWithStores(Stack):
    """The stack that a laptop runs, without Flower, on stores that keep what they were told."""

    def __init__(self, var: Path) -> None:
        options = StackOptions(media=1, durable=False, calls_per_second=10, env=TIMES)
        super().__init__(StackPaths.under(var), options)
        self._servers: dict[str, Any] = {}
        self.auth_token = ""

    def take_away(self, store: str) -> None:
        """As by a crash: nobody is told."""
        child = self._servers[store].child
        # Postgres ends its children itself at SIGQUIT ("immediate"), and writes nothing.
        os.kill(child.pid, signal.SIGQUIT if store == "postgres" else signal.SIGKILL)
        until(lambda: not child.is_running(), 20, f"{store} is gone")

    def give_back(self, store: str, *, empty: bool = False) -> None:
        """Start it again, with what it had, or with nothing."""
        if empty:
            for file in (self._paths.data / store).iterdir():
                shutil.rmtree(file) if file.is_dir() else file.unlink()
        self._servers[store].start(self._guard.watch)

    def redis(self) -> "redis.Redis":
        """A client of the stack's Redis."""
        return redis.Redis.from_url(self.info.redis)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What Postgres holds."""
        with psycopg.connect(self.info.postgres, connect_timeout=3) as database:
            return database.execute(query, values).fetchall()  # type: ignore[call-overload, no-any-return]

    def carrier(self, method: str, path: str, body: Json | None = None) -> Json:
        """The sandbox's own doors."""
        url = f"{self.info.carrier_url}/sandbox/{path}"
        answer = httpx.request(method, url, json=body, trust_env=False, timeout=60)
        answer.raise_for_status()
        found: Json = answer.json()
        return found

    def calls_last(self, least: float, most: float) -> None:
        """How long people talk who are called from now on, in seconds."""
        quick = {"audio": False, "ring_seconds": 0.1, "longest_ring_seconds": 0.5}
        self.carrier("POST", "settings", {**quick, "talk_seconds": [least, most]})

    def posts(self) -> int:
        """How many POSTs the carrier has had."""
        return int(self.carrier("GET", "ledger/summary")["posts"])

    def call_to(self, phone: str) -> Json | None:
        """The carrier's own record of the last call to a number."""
        calls = [c for c in self.carrier("GET", "ledger")["calls"] if c["to"] == phone]
        return calls[-1] if calls else None

    def start_campaign(self, name: str, phones: list[str]) -> None:
        """Leads, and dialing begins."""
        with ApiClient(self.info.api_url, self.info.api_key) as api:
            api.post("/v1/campaigns", {"name": name, "template": "outage"})
            leads: Json = {"leads": [{"phone": phone} for phone in phones]}
            api.post(f"/v1/campaigns/{name}/leads", leads)
            api.post(f"/v1/campaigns/{name}/start")

    def _embedded(self, name: str, kind: type[EmbeddedPostgres | EmbeddedRedis]) -> str:
        def keep(*args: Any, **kwargs: Any) -> EmbeddedPostgres | EmbeddedRedis:
            durable = name == "redis"  # Postgres keeps what it was told unless the machine stops
            self._servers[name] = kind(*args, **{**kwargs, "durable": durable})
            return self._servers[name]  # type: ignore[no-any-return]

        return super()._embedded(name, keep)  # type: ignore[arg-type]

    def _place(self, env: dict[str, str]) -> Place:
        self.auth_token = env["TWILIO_AUTH_TOKEN"]
        return super()._place(env)

    def _services(self) -> list[Service]:
        services = [one for one in super()._services() if one.name != "flower"]
        self.info = replace(self.info, flower_url="")
        return services


def until(holds: Callable[[], object], seconds: float, what: str) -> None:
    """Poll a condition; fail naming it when it has not come about."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"within {seconds:.0f} s not: {what}"
        time.sleep(0.1)
