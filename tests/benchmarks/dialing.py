"""`make bench ONLY=dialing`: import, claims and pace, each beside what limits it.

A million leads from CSV beside COPY of the same rows; the cost of a claim with ten thousand leads
waiting and with a million; calls per second as the carrier counted them. Writes
var/bench/dialing.json. About twenty minutes.

To narrow it: OUTDIAL_BENCH_PARTS (import,claims,pacing), OUTDIAL_BENCH_LEADS (1000000),
OUTDIAL_BENCH_BACKLOG (1000000), OUTDIAL_BENCH_RATES (1,5,30), OUTDIAL_BENCH_WORKERS (1,2,4),
OUTDIAL_BENCH_PACING_SECONDS (70).
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from dialing_claims import measure_claims
from dialing_import import measure_import
from dialing_pacing import measure_pacing

ROOT = Path(__file__).parents[2]
OUT = ROOT / "var/bench/dialing.json"
PARTS = os.environ.get("OUTDIAL_BENCH_PARTS", "import,claims,pacing").split(",")
_LOAD_BEFORE = round(os.getloadavg()[0], 2)


def main() -> int:
    """Measure, write, print. A part that is left out keeps what an earlier run measured of it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    result: dict[str, Any] = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
    for part in PARTS:
        _say(f"measuring: {part}")
        result[part] = {**_measured(part), **_moment()}
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for line in _table(result):
        print(line)
    return 0


def _measured(part: str) -> dict[str, Any]:
    if part == "import":
        return asyncio.run(measure_import())
    if part == "claims":
        return asyncio.run(measure_claims())
    if part == "pacing":
        return {"runs": measure_pacing(ROOT / "var/bench/stack-pacing")}
    raise SystemExit(f"OUTDIAL_BENCH_PARTS: there is no {part!r}; there are import, claims, pacing")


def _moment() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_average_before": _LOAD_BEFORE,
    }


def _table(result: dict[str, Any]) -> Iterator[str]:
    """What was measured, what was wanted, and whether it holds."""
    if found := result.get("import"):
        yield _line(
            f"import of {found['leads']:,} leads: times COPY's time",
            found["times_copy"],
            f"<= {found['target_times_copy']}",
            holds=found["times_copy"] <= found["target_times_copy"],
        )
        yield _line(
            "import: memory that the gateway grew by, MB",
            found["rss_growth_mb"],
            f"<= {found['target_rss_growth_mb']}",
            holds=found["rss_growth_mb"] <= found["target_rss_growth_mb"],
        )
    if found := result.get("claims"):
        small, large = found["backlogs"]
        for phase in ("fresh", "analyzed", "aged", "aged_and_analyzed"):
            one = found[phase]
            yield _line(
                f"a claim at {large:,} beside {small:,}, {phase.replace('_', ' ')} "
                f"({one['us_per_claim_large']} us)",
                one["ratio"],
                f"<= {found['target_ratio']}",
                holds=one["ratio"] <= found["target_ratio"],
            )
    for run in result.get("pacing", {}).get("runs", []):
        limit = run["limit"]
        yield _line(
            f"{limit:g} calls/s, {run['workers']} workers: worst second, ten seconds, minute",
            f"{run['worst_second']}, {run['worst_10_seconds']}, {run['minute_share']}",
            f"<= {limit + 1:g}, <= {10 * limit:g}, >= 0.98",
            holds=not run["missed"],
        )


def _line(what: str, found: object, wanted: str, *, holds: bool) -> str:
    return f"{what:<62} {found!s:>16}   {wanted:<28} {'ok' if holds else 'MISSED'}"


def _say(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
