"""`make chaos ONLY=dialing`: thousands of leads are called while everything is killed and frozen.

Gateways, workers, beat, pods, Redis and Postgres are killed with -9, or frozen, at moments drawn
from a seed, and started again; the carrier loses, repeats, delays and reorders callbacks, and
answers POSTs with errors, late, or not at all; hints come twice. Then Outdial's rows are compared
with the carrier's ledger. Writes var/chaos/summary.json; exits with 1 if a target is missed.

Sizes: OUTDIAL_CHAOS_LEADS (10000), OUTDIAL_CHAOS_RETRIES (1) of each, OUTDIAL_CHAOS_KILLS (108),
OUTDIAL_CHAOS_SEED (a new one).
"""

import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from parts import workload
from parts.house import House, Plan
from parts.trial import Sizes, Trial

ROOT = Path(__file__).parents[2]
OUT = ROOT / "var/chaos/summary.json"


def main() -> int:
    """One trial of the sizes asked for."""
    leads = int(os.environ.get("OUTDIAL_CHAOS_LEADS", "10000"))
    kills = int(os.environ.get("OUTDIAL_CHAOS_KILLS", "108"))
    seed = int(os.environ.get("OUTDIAL_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    sizes = Sizes(
        leads=leads,
        kills=kills,
        seed=seed,
        every=8.0,
        longest_freeze=40.0,
        max_retries=int(os.environ.get("OUTDIAL_CHAOS_RETRIES", "1")),
        shares=workload.ONE_IN_FIVE_ANSWERS,
        patience=600 + 0.3 * leads + 10 * kills,
        plan=Plan(
            calls_per_second=20.0,
            env=(
                ("OUTDIAL_POD_SLOTS", "100"),
                ("OUTDIAL_MAX_LIVE_CALLS", "300"),
                # A call that may have been placed is looked for so long; no freeze lasts longer.
                ("OUTDIAL_UNKNOWN_SPENT_AFTER_SECONDS", "120"),
            ),
        ),
    )
    var = ROOT / "var/chaos/stack-dialing"
    _say(f"seed {seed} (again: OUTDIAL_CHAOS_SEED={seed} make chaos ONLY=dialing)")
    with House(var, sizes.plan, _say) as house:
        report = Trial(house, sizes, _say).run(var / "leads.csv")
    report.write(OUT)
    print(OUT.read_text(encoding="utf-8"))
    if report.missed:
        _say(f"missed: {', '.join(report.missed)}. What every process said: {var / 'log'}")
        return 1
    _say(f"every target is met: {OUT}")
    return 0


def _say(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
