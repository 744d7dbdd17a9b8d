"""The trial of dialing in short, and that its judge sees what it is there to see."""

import sys
from pathlib import Path

import pytest

from parts import workload
from parts.house import House, Plan
from parts.trial import Report, Sizes, Trial

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.usefixtures("beside_calls"),
]


@pytest.mark.timeout(420)
def test_nobody_is_called_twice_and_nobody_is_lost_while_everything_dies(tmp_path: Path) -> None:
    report = run(
        tmp_path,
        Sizes(
            leads=90,
            kills=12,
            seed=11,
            every=3.0,
            longest_freeze=6.0,
            patience=240,
            plan=Plan(
                children=3,
                calls_per_second=10,
                env=(("OUTDIAL_UNKNOWN_SPENT_AFTER_SECONDS", "30"), ("OUTDIAL_POD_SLOTS", "40")),
            ),
        ),
    )
    assert report.missed == [], report.examples
    assert set(report.kills) == {"api", "worker", "beat", "media", "redis", "postgres"}
    assert report.faults["callback_lost"]
    assert report.faults["hint_repeated"]


@pytest.mark.timeout(120)
def test_without_the_guards_the_judge_reports_double_dials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    report = run(
        tmp_path,
        Sizes(
            leads=8,
            kills=0,
            seed=1,
            every=1,
            longest_freeze=1,
            patience=12,
            settling=0,
            echo_every=0.2,
            faults={},
            shares=workload.NOBODY_TALKS,
            plan=Plan(
                gateways=1,
                workers=1,
                pods=0,  # nobody talks
                children=3,
                worker_app="parts.unguarded_worker",
                calls_per_second=2,
                env=(
                    ("OUTDIAL_ROUTING", "static"),
                    ("OUTDIAL_STATIC_STREAM_URL", "ws://127.0.0.1:9/pods/none"),
                ),
            ),
        ),
    )
    assert "double_dials" in report.missed
    assert "second POST of an attempt" in {example["what"] for example in report.examples}


def run(folder: Path, sizes: Sizes) -> Report:
    def say(line: str) -> None:
        print(line, file=sys.stderr)

    with House(folder / "stack", sizes.plan, say) as house:
        return Trial(house, sizes, say).run(folder / "leads.csv")
