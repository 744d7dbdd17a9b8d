"""A house without sound that can be looked into, for tests that go step by step."""

from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis

from outdial_cli.api_client import ApiClient, Json
from outdial_cli.stack.services import Place
from parts.house import House, Plan

TEMPLATE = {
    "slug": "outage",
    "agent": {
        "name": "Ada",
        "greeting": "Hello, this is an AI.",
        "prompt": "Be brief.",
        "idle": {"seconds": 60},  # these calls have no sound: the agent must not say goodbye
    },
    "retry": {
        "max_retries": 4,
        "cooldowns": dict.fromkeys(
            ("busy", "no_answer", "failed", "canceled", "technical_failure", "hung_up", "silent"), 2
        ),
        "finish_on": ["completed", "hung_up", "opted_out", "silent"],
    },
    "recording": False,
}


class WatchedHouse(House):
    """One of each process; the ledger and Postgres can be asked, and people told to be brief."""

    def __init__(self, var: Path) -> None:
        one_each = Plan(gateways=1, workers=1, pods=1, children=5, calls_per_second=10)
        super().__init__(var, one_each, lambda _line: None)
        self.auth_token = ""

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

    def start_campaign(self, name: str, phones: list[str]) -> None:
        """Leads, and dialing begins."""
        with ApiClient(self.info.api_url, self.info.api_key) as api:
            api.post("/v1/campaigns", {"name": name, "template": "outage"})
            leads: Json = {"leads": [{"phone": phone} for phone in phones]}
            api.post(f"/v1/campaigns/{name}/leads", leads)
            api.post(f"/v1/campaigns/{name}/start")

    def _place(self, env: dict[str, str]) -> Place:
        self.auth_token = env["TWILIO_AUTH_TOKEN"]
        return super()._place(env)
