"""deploy/prometheus: what the alerts look at is what the services measure, and the docs name it.

Their expressions are tried by `promtool test rules` (alerts.test.yaml beside them).
"""

import importlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from outdial.domain.call_outcome import Outcome
from outdial.operations.run_sweeps import GROUPS
from outdial.telephony import dial_result
from outdial_api.routing_metrics import Fleet

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/prometheus"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
TRIED = yaml.safe_load((FOLDER / "alerts.test.yaml").read_text())
PROMETHEUS_OWN = {"le", "instance"}
SELECTED = re.compile(r"\b(outdial_[a-z_]+)(?:\{([^}]*)\})?")
KNOWN = {
    "outcome": {str(outcome) for outcome in Outcome},
    "result": set(vars(dial_result)),
    "sweep": {sweep.__name__ for group in GROUPS.values() for sweep in group},
}
"""Values of labels that have a closed set of them."""


@pytest.fixture(scope="module")
def measured() -> dict[str, set[str]]:
    """Labels of every series, by the name that Prometheus scrapes."""
    for name in ("outdial.observability.metrics", "outdial_media.metrics", "outdial_api.app"):
        importlib.import_module(name)
    found: dict[str, set[str]] = {}
    for collector, names in REGISTRY._collector_to_names.items():
        labels = {*getattr(collector, "_labelnames", ())}
        for name in names:
            found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    for family in Fleet(SimpleNamespace(pods=())).collect():
        found[family.name] = {key for sample in family.samples for key in sample.labels}
    return found


def selections() -> list[tuple[str, str]]:
    texts = [rule["expr"] for rule in RULES]
    texts += [series["series"] for test in TRIED["tests"] for series in test["input_series"]]
    return [(name, labels) for text in texts for name, labels in SELECTED.findall(text)]


def test_every_series_and_label_exists(measured: dict[str, set[str]]) -> None:
    for name, selected in selections():
        assert name in measured
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', selected):
            assert label in measured[name] | PROMETHEUS_OWN, name
            assert value in KNOWN.get(label, {value}), name


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_groups_by_what_there_is(rule: dict[str, Any], measured: dict[str, set[str]]) -> None:
    names = {name for name, _ in SELECTED.findall(rule["expr"])}
    for grouped in re.findall(r"by \(([a-z, ]+)\)", rule["expr"]):
        for label in grouped.split(", "):
            assert all(label in measured[name] for name in names)
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert named <= set().union(*(measured[name] for name in names)) | PROMETHEUS_OWN


def test_each_is_tried_both_ways_and_explained() -> None:
    docs = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(Outdial\w+)` \|", docs, re.MULTILINE))
    tried = [one for test in TRIED["tests"] for one in test["alert_rule_test"]]
    names = {rule["alert"] for rule in RULES}
    assert told == names
    assert {one["alertname"] for one in tried if one["exp_alerts"]} == names
    assert {one["alertname"] for one in tried if not one["exp_alerts"]} == names
    assert "deploy/prometheus/alerts.yaml" in docs
