"""`make chaos ONLY=fleet`: pods are killed, frozen, cut off, drained, restarted under live calls.

A whole stack with the sandbox: real audio both ways. What happened is read from the sandbox's
ledger (fleet_parts/judge.py). Half of the pods are lost at once, the other half has room for their
calls. Writes var/chaos/fleet.json; exits with 1 if a target is missed.

Sizes: OUTDIAL_CHAOS_PODS (4), OUTDIAL_CHAOS_CALLS in each scene (8), OUTDIAL_CHAOS_ROUNDS (1) of
the scenes in which pods are lost; the first round, and each third one, also drains and restarts.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from fleet_parts.fleet import ROOT, Fleet, template, wait
from fleet_parts.judge import Counts, Hit, judge_hit, judge_undisturbed, open_streams
from fleet_parts.wire import Wire
from outdial_cli.api_client import ApiClient
from outdial_cli.stack.options import StackOptions, StackPaths
from outdial_cli.stack.stack import Stack

OUT = ROOT / "var/chaos/fleet.json"
PODS = int(os.environ.get("OUTDIAL_CHAOS_PODS", "4"))
CALLS = int(os.environ.get("OUTDIAL_CHAOS_CALLS", "8"))
ROUNDS = int(os.environ.get("OUTDIAL_CHAOS_ROUNDS", "1"))
LOST = PODS // 2
SLOTS = -(-CALLS // (PODS - LOST)) + 1  # the others have room for all
LIVE_SECONDS = 60.0
MOVED_SECONDS = 30.0
END_SECONDS = 150.0
SHARE = 0.99


class Trial:
    """Scenes, in rounds, and what is counted."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.counts = {
            "killed": Counts(2.0),
            "frozen": Counts(8.0),
            "unreachable": Counts(8.0),
            "drained": Counts(2.0),
            "rolling_restart": Counts(2.0),
        }
        self.calls: dict[str, list[Any]] = {name: [] for name in self.counts}

    def run(self) -> None:
        """Every scene; in the first round a pod is led through the wire before anything else."""
        wired = self._fleet.pods[:LOST]
        self._fleet.lead_through_wire(wired)
        for number in range(ROUNDS):
            self._lose("killed", None, self._kill)
            self._lose("frozen", None, self._freeze)
            self._lose("unreachable", wired, self._cut_off)
            if number % 3 == 0:
                self._disturb("drained", self._drain)
                self._disturb("rolling_restart", self._roll)

    def _lose(
        self, name: str, wired: list[str] | None, act: Callable[[list[str]], Callable[[], None]]
    ) -> None:
        numbers = self._people_talk(name)
        pods = wired or self._fleet.busiest(LOST)
        open_then = open_streams(self._fleet.ledger(numbers), pods)
        at = time.time()
        undo = act(pods)
        hits = [Hit(number, place, at, name == "killed") for number, place in open_then]
        if name != "killed":
            with suppress(TimeoutError):
                left = lambda: not any(self._fleet.live_on()[pod] for pod in pods)  # noqa: E731
                wait(left, MOVED_SECONDS, f"calls left {', '.join(pods)}", self._fleet.say)
        undo()
        self._people_hang_up(numbers)
        seen = {call["to"]: call for call in self._fleet.ledger(numbers)}
        for hit in hits:
            goodbye = self._fleet.said_goodbye_at(hit.number)
            judge_hit(self.counts[name], hit, seen[hit.number], goodbye)
        self._keep(name, list(seen.values()))

    def _disturb(self, name: str, act: Callable[[], None]) -> None:
        numbers = self._people_talk(name)
        act()
        self._people_hang_up(numbers)
        seen = self._fleet.ledger(numbers)
        for call in seen:
            judge_undisturbed(self.counts[name], call)
        self._keep(name, seen)

    def _people_talk(self, name: str) -> list[str]:
        self._fleet.say(f"scene: {name}")
        self._fleet.forget()
        numbers = self._fleet.call(CALLS)
        with suppress(TimeoutError):
            talking = lambda: self._fleet.talking(numbers)  # noqa: E731
            wait(talking, LIVE_SECONDS, "everybody is talked to", self._fleet.say)
        return numbers

    def _people_hang_up(self, numbers: list[str]) -> None:
        over = lambda: all(c["ended_at"] for c in self._fleet.ledger(numbers))  # noqa: E731
        with suppress(TimeoutError):
            wait(over, END_SECONDS, "the calls are over", self._fleet.say)

    def _keep(self, name: str, calls: list[Any]) -> None:
        counts = self.counts[name]
        counts.calls += len(calls)
        counts.not_ended += sum(not call["ended_at"] for call in calls)
        self.calls[name] += calls
        self._fleet.say(f"  {name}: {counts.calls_hit} hit so far, {counts.resumed} resumed")

    def _kill(self, pods: list[str]) -> Callable[[], None]:
        for pod in pods:
            os.kill(self._fleet.child(pod).pid, signal.SIGKILL)
        return lambda: self._fleet.start_again(pods)

    def _freeze(self, pods: list[str]) -> Callable[[], None]:
        for pod in pods:
            os.kill(self._fleet.child(pod).pid, signal.SIGSTOP)

        def thaw() -> None:
            for pod in pods:
                os.kill(self._fleet.child(pod).pid, signal.SIGCONT)

        return thaw

    def _cut_off(self, _pods: list[str]) -> Callable[[], None]:
        self._fleet.wire.cut()
        return self._fleet.wire.mend

    def _drain(self) -> None:
        (pod,) = self._fleet.busiest(1)
        self._fleet.drain(pod)
        with suppress(TimeoutError):
            empty = lambda: self._fleet.live_on()[pod] == 0  # noqa: E731
            wait(empty, END_SECONDS, f"{pod} is empty", self._fleet.say)
        self._fleet.start_again([pod])

    def _roll(self) -> None:
        for pod in self._fleet.pods:
            child = self._fleet.child(pod)
            os.kill(child.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                ended = lambda child=child: not child.is_running()  # noqa: E731
                wait(ended, END_SECONDS, f"{pod} has ended", self._fleet.say)
            self._fleet.start_again([pod])


class Admission:
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
                over = [n - SLOTS for n in self._fleet.live_on().values()]
                self._most = max(self._most, *over, 0)


def main() -> int:
    """Play every scene."""
    paths = StackPaths.under(ROOT / "var/chaos/stack-fleet")
    env = {
        "OUTDIAL_POD_SLOTS": str(SLOTS),
        "OUTDIAL_RING_TIMEOUT_SECONDS": "8",
        "OUTDIAL_DRAIN_SECONDS": "120",
    }
    options = StackOptions(
        media=PODS, durable=False, fresh=True, calls_per_second=4.0, ring_seconds=1.0, env=env
    )
    load_before = round(os.getloadavg()[0], 2)
    with Wire() as wire, Stack(paths, options, say=_say) as stack, _client(stack) as api:
        api.post("/v1/templates", template())
        fleet = Fleet(stack, api, wire, PODS, _say)
        trial, admission = Trial(fleet), Admission(fleet)
        trial.run()
        over_admitted = admission.stop()
        with suppress(TimeoutError):
            wait(lambda: fleet.in_use() == 0, 20, "no slot is in use", _say)
        leaked = fleet.in_use()
    result = report(trial.counts, over_admitted, leaked, load_before)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    OUT.with_name("fleet-calls.json").write_text(json.dumps(trial.calls, indent=1) + "\n")
    print(json.dumps(result, indent=2))
    return 0 if result["missed"] == [] else 1


def report(
    counts: dict[str, Counts], over_admitted: int, leaked: int, load_before: float
) -> dict[str, Any]:
    """`calls_hit` and what follows it are of closed sockets; pods that close none stand apart."""
    killed, frozen, cut = (counts[name] for name in ("killed", "frozen", "unreachable"))
    lost = (killed, frozen, cut)
    dropped = counts["drained"].dropped + counts["rolling_restart"].dropped
    checks = {
        "resumed_within_2s": killed.resumed_in_time >= SHARE * killed.calls_hit,
        "frozen_resumed_within_8s": frozen.resumed_in_time >= SHARE * frozen.calls_hit,
        "unreachable_resumed_within_8s": cut.resumed_in_time >= SHARE * cut.calls_hit,
        "context_kept": all(c.context_kept == c.resumed for c in lost),
        "dropped": dropped == 0,
        "over_admitted": over_admitted == 0,
        "leaked_slots": leaked == 0,
        "all_ended": not any(c.not_ended for c in counts.values()),
        "somebody_was_hit": all(c.calls_hit for c in lost),
    }
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_average_before": load_before,
        "pods": PODS,
        "slots_per_pod": SLOTS,
        "rounds": ROUNDS,
        "calls": sum(c.calls for c in counts.values()),
        "calls_hit": killed.calls_hit,
        "resumed": killed.resumed,
        "resumed_within_2s": killed.resumed_in_time,
        "context_kept": killed.context_kept,
        "all_calls_hit": sum(c.calls_hit for c in lost),
        "dropped": dropped,
        "over_admitted": over_admitted,
        "leaked_slots": leaked,
        "scenes": {name: found.as_json() for name, found in counts.items()},
        "missed": [name for name, holds in checks.items() if not holds],
    }


def _client(stack: Stack) -> ApiClient:
    return ApiClient(stack.info.api_url, stack.info.api_key)


def _say(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
