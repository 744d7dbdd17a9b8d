"""Calls placed per second against the limit, as the carrier's ledger saw them.

A whole stack for each pace and number of workers, with a campaign that always has leads to call.
The people called are busy or decline, so that the pace is what is measured and not conversations; a
slot is reserved for each call all the same.

In truth the carrier has machines of its own. Here it shares ours, so its loop goes before all
others where that is allowed: what it writes down is when a call came, not when it had time to look.
`cores_busy` is how much of all cores everything together took, `cores_stolen` how much of them the
host gave to other machines: with both near 1 together, there was no room.
"""

import csv
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from going_first import let_go_first
from outdial_cli.api_client import ApiClient, Json

# The chaos harness starts several workers.
sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))
from parts.house import House, Plan
from parts.workload import NOBODY_TALKS, phones

RATES = os.environ.get("OUTDIAL_BENCH_RATES", "1,5,30")
WORKERS = os.environ.get("OUTDIAL_BENCH_WORKERS", "1,2,4")
SECONDS = float(os.environ.get("OUTDIAL_BENCH_PACING_SECONDS", "70"))
LEAST_MINUTE_SHARE = 0.98
FIRST_CALL_SECONDS = 60.0

_CARRIER: Json = {"audio": False, "ring_seconds": 0.1, "longest_ring_seconds": 1.0}
_ENV = (("OUTDIAL_POD_SLOTS", "300"), ("OUTDIAL_MAX_LIVE_CALLS", "300"))


def measure_pacing(folder: Path) -> list[dict[str, Any]]:
    """Each pace with each number of workers. Call it from the main thread."""
    return [
        _one(folder, float(rate), int(workers))
        for rate in RATES.split(",")
        for workers in WORKERS.split(",")
    ]


def _one(folder: Path, rate: float, workers: int) -> dict[str, Any]:
    plan = Plan(gateways=1, workers=workers, pods=1, calls_per_second=rate, env=_ENV)
    try:
        with (
            House(folder, plan, lambda line: None) as house,
            ApiClient(house.info.api_url, house.info.api_key) as api,
            httpx.Client(base_url=house.info.carrier_url, trust_env=False, timeout=20) as carrier,
        ):
            carrier.post("/sandbox/settings", json=_CARRIER).raise_for_status()
            realtime = let_go_first(house.child("sandbox-carrier").pid)
            _start(api, folder / "leads.csv", int(rate * (SECONDS + 30)) + 20)
            began = _first_call(carrier)
            before = _core_ticks()
            time.sleep(max(0.0, began + SECONDS - time.time()))
            busy, stolen = _shares(before, _core_ticks())
            summary = carrier.get(
                "/sandbox/ledger/summary",
                params={"limit": rate, "since": began, "until": began + SECONDS},
            )
            return {
                **_judged(rate, workers, summary.json()),
                "carrier_realtime": realtime,
                "cores_busy": busy,
                "cores_stolen": stolen,
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_TICKS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def _core_ticks() -> dict[str, float]:
    """Of all cores together, since the machine started."""
    fields = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:]
    return dict(zip(_TICKS, map(float, fields), strict=False))


def _shares(before: dict[str, float], after: dict[str, float]) -> tuple[float, float]:
    """The shares of the cores that were busy here, and that the host had taken away."""
    ticks = {name: after[name] - before[name] for name in _TICKS}
    passed, stolen = sum(ticks.values()), ticks["steal"]
    free = ticks["idle"] + ticks["iowait"]
    return round((passed - free - stolen) / passed, 3), round(stolen / passed, 3)


def _start(api: ApiClient, file: Path, leads: int) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(("external_id", "phone", "name"))
        shown = phones(leads, seed=1, shares=NOBODY_TALKS)
        rows.writerows((f"L-{n}", phone, "Maria") for n, phone in enumerate(shown))
    api.post("/v1/templates", _TEMPLATE)
    api.post("/v1/campaigns", {"name": "pacing", "template": "pacing"})
    answer = api.post_file("/v1/campaigns/pacing/leads?results=refused", file, "text/csv")
    if answer["created"] != leads:
        raise RuntimeError(f"not every lead was taken: {answer}")
    api.post("/v1/campaigns/pacing/start")


_TEMPLATE: Json = {
    "slug": "pacing",
    "agent": {"name": "Ada", "greeting": "Hello, this is Ada, an AI.", "prompt": "Be brief."},
    "retry": {"max_retries": 0},
    "recording": False,
    "prepare": "none",
}


def _first_call(carrier: httpx.Client) -> float:
    """When the first POST came, give or take a tenth of a second (Unix time)."""
    deadline = time.monotonic() + FIRST_CALL_SECONDS
    while not carrier.get("/sandbox/ledger/summary").json()["posts"]:
        if time.monotonic() > deadline:
            raise TimeoutError("nobody was called")
        time.sleep(0.1)
    return time.time()


def _judged(rate: float, workers: int, summary: Json) -> dict[str, Any]:
    pacing = summary["pacing"]
    share = pacing["minute_share"]
    missed = [
        name
        for name, holds in (
            ("worst_second", pacing["worst_second"] <= rate + 1),
            ("worst_10_seconds", pacing["worst_10_seconds"] <= 10 * rate),
            ("minute_share", share is not None and share >= LEAST_MINUTE_SHARE),
            ("double_dials", summary["double_dials"] == 0),
        )
        if not holds
    ]
    return {
        "limit": rate,
        "workers": workers,
        "worst_second": pacing["worst_second"],
        "worst_10_seconds": pacing["worst_10_seconds"],
        "minute_share": share,
        "posts": summary["posts"],
        "double_dials": summary["double_dials"],
        "missed": missed,
    }
