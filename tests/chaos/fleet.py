"""`make chaos ONLY=fleet`: pods are killed, frozen, drained and restarted under live calls.

A whole stack with the sandbox: real audio both ways. What happened is read from the sandbox's
ledger, which knows nothing of Outdial: streams with their times, what people said and when. Writes
var/chaos/fleet.json; exits with 1 if a target is missed.

Sizes: OUTDIAL_CHAOS_PODS (3), OUTDIAL_CHAOS_CALLS in each scene (4).
"""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml
from outdial_cli.api_client import ApiClient, Json
from outdial_cli.stack.child_process import Child
from outdial_cli.stack.options import StackOptions, StackPaths
from outdial_cli.stack.stack import Stack

ROOT = Path(__file__).parents[2]
OUT = ROOT / "var/chaos/fleet.json"
PODS = int(os.environ.get("OUTDIAL_CHAOS_PODS", "3"))
CALLS = int(os.environ.get("OUTDIAL_CHAOS_CALLS", "4"))
SLOTS = 6
TALKERS = ("20", "22", "21", "00")  # people who talk for some time
LIVE_SECONDS = 60.0
END_SECONDS = 150.0
READY_SECONDS = 60.0
HEARD_SECONDS = 1.0  # from the end of words until they are recognised and written


@dataclass
class Scene:
    """One thing done to pods while calls go on, and what became of those calls."""

    name: str
    within: float
    calls_hit: int = 0
    resumed: int = 0
    resumed_in_time: int = 0
    context_kept: int = 0
    dropped: int = 0
    not_ended: int = 0
    gaps: list[float] = field(default_factory=list)
    acted_at: float = 0.0
    calls: list[Any] = field(default_factory=list)


class Fleet:
    """The stack under trial."""

    def __init__(self, stack: Stack, api: ApiClient) -> None:
        self.stack = stack
        self.api = api
        self.pods = [f"pod-{n}" for n in range(1, PODS + 1)]
        self._numbers = 0

    def call(self, count: int) -> list[str]:
        """Have people called; the leads' ids are of no use here, the numbers are."""
        numbers = []
        for _ in range(count):
            ending = TALKERS[self._numbers % len(TALKERS)]
            number = f"+1212555{20 + self._numbers:02d}{ending}"
            self._numbers += 1
            self.api.post("/v1/calls", _order(number))
            numbers.append(number)
        return numbers

    def ledger(self, numbers: list[str]) -> list[Any]:
        """What the carrier saw of calls to these numbers."""
        with httpx.Client(trust_env=False, timeout=20) as client:
            calls = client.get(f"{self.stack.info.carrier_url}/sandbox/ledger").json()["calls"]
        return [call for call in calls if call["to"] in numbers]

    def talking(self, numbers: list[str]) -> bool:
        """Whether all of them hear the bot, or are over."""
        seen = self.ledger(numbers)
        return len(seen) == len(numbers) and all(c["bot_speech"] or c["ended_at"] for c in seen)

    def live_on(self) -> Counter[str]:
        """Live calls by pod, as the carrier's open streams name them."""
        calls = self.ledger([call["to"] for call in self._all()])
        return Counter(
            stream["url"].split("/pods/")[1].split("/")[0]
            for call in calls
            if not call["ended_at"]
            for stream in call["streams"]
            if not stream["ended_at"]
        )

    def busiest(self) -> str:
        """The pod with most live calls."""
        return (self.live_on().most_common(1) or [(self.pods[0], 0)])[0][0]

    def child(self, pod: str) -> Child:
        """The pod's process."""
        return next(c for c in reversed(self.stack._children) if c.name == f"media-{pod}")

    def start_again(self, pod: str) -> None:
        """A new process in the place of one that has ended."""
        old = self.child(pod)
        old.kill()
        child = Child(old.spec)
        self.stack._guard.watch(child)
        self.stack._children[self.stack._children.index(old)] = child
        address = next(url for url in self.stack.info.pods if url.endswith(f"/{pod}"))
        health = "http" + address.removeprefix("ws").rpartition("/pods/")[0] + "/health"
        _wait(lambda: _is_ok(health), READY_SECONDS, f"{pod} is ready")

    def view(self) -> list[Json]:
        """The registry's view."""
        return list(self.api.pages("/v1/pods"))

    def _all(self) -> list[Any]:
        with httpx.Client(trust_env=False, timeout=20) as client:
            answer = client.get(f"{self.stack.info.carrier_url}/sandbox/ledger")
        calls: list[Any] = answer.json()["calls"]
        return calls


def main() -> int:
    """Play every scene."""
    paths = StackPaths.under(ROOT / "var/chaos/stack-fleet")
    env = {
        "OUTDIAL_POD_SLOTS": str(SLOTS),
        "OUTDIAL_RING_TIMEOUT_SECONDS": "8",
        "OUTDIAL_DRAIN_SECONDS": "120",
    }
    options = StackOptions(
        media=PODS, durable=False, fresh=True, calls_per_second=1.0, ring_seconds=1.0, env=env
    )
    load_before = round(os.getloadavg()[0], 2)
    with Stack(paths, options, say=_say) as stack, _client(stack) as api:
        api.post("/v1/templates", _template())
        fleet = Fleet(stack, api)
        watch = _Admission(fleet)
        scenes = [
            _play(fleet, Scene("killed", 2.0), _kill),
            _play(fleet, Scene("frozen", 8.0), _freeze),
            _play(fleet, Scene("drained", 2.0), _drain),
            _play(fleet, Scene("rolling_restart", 2.0), _roll),
        ]
        over_admitted = watch.stop()
        leaked = _leaked(fleet)
    result = _report(scenes, over_admitted, leaked, load_before)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    calls = {scene.name: scene.calls for scene in scenes}
    OUT.with_name("fleet-calls.json").write_text(json.dumps(calls, indent=1) + "\n")
    print(json.dumps(result, indent=2))
    return 0 if result["missed"] == [] else 1


def _play(fleet: Fleet, scene: Scene, act: Callable[[Fleet], None]) -> Scene:
    _say(f"scene: {scene.name}")
    numbers = fleet.call(CALLS)
    with suppress(TimeoutError):
        _wait(lambda: fleet.talking(numbers), LIVE_SECONDS, "everybody is talked to")
    scene.acted_at = time.time()
    act(fleet)
    with suppress(TimeoutError):
        _wait(
            lambda: all(call["ended_at"] for call in fleet.ledger(numbers)),
            END_SECONDS,
            "the calls are over",
        )
    for call in fleet.ledger(numbers):
        _judge(scene, call)
        scene.calls.append(call)
    return scene


def _kill(fleet: Fleet) -> None:
    pod = fleet.busiest()
    os.kill(fleet.child(pod).pid, signal.SIGKILL)
    fleet.start_again(pod)


def _freeze(fleet: Fleet) -> None:
    pod = fleet.busiest()
    before = fleet.live_on()[pod]
    os.kill(fleet.child(pod).pid, signal.SIGSTOP)
    with suppress(TimeoutError):
        _wait(lambda: fleet.live_on()[pod] == 0 or not before, 30, "calls left the frozen pod")
    os.kill(fleet.child(pod).pid, signal.SIGCONT)


def _drain(fleet: Fleet) -> None:
    pod = fleet.busiest()
    fleet.api.post(f"/v1/pods/{pod}/drain", {})
    with suppress(TimeoutError):
        _wait(lambda: fleet.live_on()[pod] == 0, END_SECONDS, f"{pod} is empty")
    fleet.start_again(pod)


def _roll(fleet: Fleet) -> None:
    for pod in fleet.pods:
        child = fleet.child(pod)
        os.kill(child.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            _wait(lambda child=child: not child.is_running(), END_SECONDS, f"{pod} has ended")  # type: ignore[misc]
        fleet.start_again(pod)


def _judge(scene: Scene, call: Any) -> None:
    """One call, by what the carrier saw and heard."""
    streams = call["streams"]
    if not call["ended_at"]:
        scene.not_ended += 1
    if scene.name in {"drained", "rolling_restart"}:
        # Cut: the stream was lost under a person who had not hung up, or the carrier gave up.
        scene.dropped += len(streams) > 1 or call["ended_by"] == "carrier"
        return
    lost = _lost(scene, call)
    if not lost:
        return
    scene.calls_hit += 1
    if len(streams) < 2:
        return
    scene.resumed += 1
    # A killed process closes its socket: from there. A frozen one does not: from the freezing.
    lost_at = scene.acted_at if scene.name == "frozen" else streams[0]["ended_at"]
    gap = streams[1]["started_at"] - lost_at
    scene.gaps.append(round(gap, 2))
    scene.resumed_in_time += gap <= scene.within
    scene.context_kept += _asked_nothing_twice(call, lost_at)


def _lost(scene: Scene, call: Any) -> bool:
    """Whether its first stream ended although neither the person nor the bot hung up."""
    if len(call["streams"]) > 1:
        return True
    return bool(call["streams"]) and call["ended_by"] == "carrier"


def _asked_nothing_twice(call: Any, lost_at: float) -> bool:
    """Whether the person had to say again, after the cut, what had been heard before it.

    What was said to a pod that was frozen already, or in the last second of one, nobody heard.
    """
    told = {u["intent"] for u in call["utterances"] if u["ended_at"] < lost_at - HEARD_SECONDS}
    again = {u["intent"] for u in call["utterances"] if u["started_at"] >= lost_at}
    return not (told & again & {"confirm", "decline"})


class _Admission:
    """Looks at the pods again and again: none may ever have more calls than slots."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._done = threading.Event()
        self._most = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """How many more than there was room for, at the worst moment."""
        self._done.set()
        self._thread.join()
        return self._most

    def _look(self) -> None:
        while not self._done.wait(0.5):
            with suppress(Exception):
                self._most = max(
                    self._most, *(n - SLOTS for n in self._fleet.live_on().values()), 0
                )


def _leaked(fleet: Fleet) -> int:
    """Slots in use when no call is left."""
    with suppress(TimeoutError):
        _wait(lambda: _used(fleet) == 0, 20, "no slot is in use")
    return _used(fleet)


def _used(fleet: Fleet) -> int:
    return sum(pod["live"] + pod["reserved"] for pod in fleet.view() if not pod["is_out"])


def _report(scenes: list[Scene], over: int, leaked: int, load_before: float) -> dict[str, Any]:
    by_name = {scene.name: scene for scene in scenes}
    killed, frozen = by_name["killed"], by_name["frozen"]
    dropped = by_name["drained"].dropped + by_name["rolling_restart"].dropped
    checks = {
        "resumed_within_2s": killed.resumed_in_time == killed.calls_hit,
        "frozen_resumed_within_8s": frozen.resumed_in_time == frozen.calls_hit,
        "context_kept": killed.context_kept + frozen.context_kept
        == killed.resumed + frozen.resumed,
        "dropped": dropped == 0,
        "over_admitted": over == 0,
        "leaked_slots": leaked == 0,
        "all_ended": not any(scene.not_ended for scene in scenes),
        "somebody_was_hit": killed.calls_hit > 0 and frozen.calls_hit > 0,
    }
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_average_before": load_before,
        "pods": PODS,
        "calls": CALLS * len(scenes),
        "calls_hit": killed.calls_hit,
        "resumed": killed.resumed,
        "resumed_within_2s": killed.resumed_in_time,
        "gap_seconds": killed.gaps,
        "frozen": {
            "calls_hit": frozen.calls_hit,
            "resumed": frozen.resumed,
            "resumed_within_8s": frozen.resumed_in_time,
            "gap_seconds": frozen.gaps,
        },
        "context_kept": killed.context_kept + frozen.context_kept,
        "dropped": dropped,
        "over_admitted": over,
        "leaked_slots": leaked,
        "not_ended": sum(scene.not_ended for scene in scenes),
        "missed": [name for name, holds in checks.items() if not holds],
    }


def _client(stack: Stack) -> ApiClient:
    return ApiClient(stack.info.api_url, stack.info.api_key)


def _template() -> Json:
    text = (ROOT / "examples/templates/appointment-reminder.yaml").read_text(encoding="utf-8")
    template: Json = yaml.safe_load(text)
    template.pop("hours", None)
    return {**template, "slug": "fleet", "retry": {"max_retries": 0}}


def _order(number: str) -> Json:
    return {
        "to_number": number,
        "template": "fleet",
        "name": "Maria Lopez",
        "variables": {"clinic": "Lakeside Clinic", "appointment": "Tuesday at ten thirty"},
    }


def _wait(holds: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            _say(f"within {seconds:.0f} s not: {what}")
            raise TimeoutError(what)
        time.sleep(0.2)


def _is_ok(url: str) -> bool:
    with suppress(httpx.HTTPError), httpx.Client(trust_env=False, timeout=2) as client:
        return client.get(url).is_success
    return False


def _say(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
