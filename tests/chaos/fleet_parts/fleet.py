"""The stack under trial: people called, pods by name, and what the carrier sees."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from fleet_parts.judge import pod_of
from fleet_parts.wire import Wire
from outdial_cli.api_client import ApiClient, Json
from outdial_cli.stack.child_process import Child
from outdial_cli.stack.stack import Stack

ROOT = Path(__file__).parents[3]
TALKERS = ("20", "22", "21", "00")  # people who talk for some time
AREAS = (212, 213, 303, 312, 404, 415, 512, 602, 617, 702, 206, 305)
READY_SECONDS = 60.0

Say = Callable[[str], None]


class Fleet:
    """Pods of one stack; `wired` of them are reached, and reach others, through `wire` only."""

    def __init__(self, stack: Stack, api: ApiClient, wire: Wire, pods: int, say: Say) -> None:
        self.pods = [f"pod-{n}" for n in range(1, pods + 1)]
        self.wire = wire
        self.say = say
        self._stack = stack
        self._api = api
        self._numbers = 0
        self._ids: dict[str, str] = {}
        self._began = time.time()

    def call(self, count: int) -> list[str]:
        """Have people called; their numbers."""
        return [self._call() for _ in range(count)]

    def ledger(self, numbers: list[str] | None = None) -> list[Any]:
        """What the carrier saw of calls to these numbers, or of all of this fleet."""
        with httpx.Client(trust_env=False, timeout=20) as client:
            url = f"{self._stack.info.carrier_url}/sandbox/ledger"
            calls = client.get(url, params={"since": self._began}).json()["calls"]
        return [call for call in calls if numbers is None or call["to"] in numbers]

    def forget(self) -> None:
        """The ledger's calls up to here are not looked at again."""
        self._began = time.time()

    def talking(self, numbers: list[str]) -> bool:
        """Whether all of them hear the bot, or are over."""
        seen = self.ledger(numbers)
        return len(seen) == len(numbers) and all(c["bot_speech"] or c["ended_at"] for c in seen)

    def live_on(self) -> Counter[str]:
        """Live calls by pod, as the carrier's open streams name them."""
        return Counter(
            pod_of(stream)
            for call in self.ledger()
            if not call["ended_at"]
            for stream in call["streams"]
            if not stream["ended_at"]
        )

    def busiest(self, count: int) -> list[str]:
        """Pods with most live calls."""
        live = self.live_on()
        return sorted(self.pods, key=lambda pod: (-live[pod], pod))[:count]

    def child(self, pod: str) -> Child:
        """The pod's process."""
        return next(c for c in reversed(self._stack._children) if c.name == f"media-{pod}")

    def start_again(self, pods: list[str], env: Mapping[str, str] | None = None) -> None:
        """New processes in the place of those that have ended, or are ended now."""
        for pod in pods:
            old = self.child(pod)
            old.kill()
            child = Child(replace(old.spec, env={**old.spec.env, **(env or {})}))
            self._stack._guard.watch(child)
            self._stack._children[self._stack._children.index(old)] = child
        for pod in pods:
            wait(lambda pod=pod: self._is_ready(pod), READY_SECONDS, f"{pod} is ready", self.say)  # type: ignore[misc]

    def lead_through_wire(self, pods: list[str]) -> None:
        """From now on these pods have no other network."""
        for pod in pods:
            with suppress(TimeoutError):
                env = self.child(pod).spec.env
                self.start_again([pod], self.wire.environment(env, int(env["OUTDIAL_PORT"])))

    def drain(self, pod: str) -> None:
        """As an operator does."""
        self._api.post(f"/v1/pods/{pod}/drain", {})

    def view(self) -> list[Json]:
        """The registry's view."""
        return list(self._api.pages("/v1/pods"))

    def in_use(self) -> int:
        """Slots that the registry holds for calls."""
        return sum(pod["live"] + pod["reserved"] for pod in self.view() if not pod["is_out"])

    def said_goodbye_at(self, number: str) -> float | None:
        """When the agent decided to end the call (epoch seconds), if it did."""
        call = self._api.get(f"/v1/calls/{self._ids[number]}")
        ends = [tool for tool in call["tools"] if tool["name"] == "end_call"]
        return datetime.fromisoformat(ends[0]["called_at"]).timestamp() if ends else None

    def _is_ready(self, pod: str) -> bool:
        port = urlsplit(next(u for u in self._stack.info.pods if u.endswith(f"/{pod}"))).port
        with suppress(httpx.HTTPError), httpx.Client(trust_env=False, timeout=2) as client:
            return client.get(f"http://127.0.0.1:{port}/health").is_success
        return False

    def _call(self) -> str:
        area, rest = divmod(self._numbers, 80)
        number = f"+1{AREAS[area]}555{20 + rest}{TALKERS[self._numbers % len(TALKERS)]}"
        self._numbers += 1
        order = {
            "to_number": number,
            "template": "fleet",
            "name": "Maria Lopez",
            "variables": {"clinic": "Lakeside Clinic", "appointment": "Tuesday at ten thirty"},
        }
        self._ids[number] = self._api.post("/v1/calls", order)["id"]
        return number


def template() -> Json:
    """The one that people are called with: at any hour, once.

    Nobody looks for machines: a slow talker who hears nothing for seconds sounds like one, and what
    is done with machines is no matter of pods.
    """
    text = (ROOT / "examples/templates/appointment-reminder.yaml").read_text(encoding="utf-8")
    found: Json = yaml.safe_load(text)
    found.pop("hours", None)
    return {**found, "slug": "fleet", "retry": {"max_retries": 0}, "amd": {"enabled": False}}


def wait(holds: Callable[[], bool], seconds: float, what: str, say: Say) -> None:
    """Look again and again. Raises TimeoutError, after saying what did not come true."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            say(f"within {seconds:.0f} s not: {what}")
            raise TimeoutError(what)
        time.sleep(0.2)
