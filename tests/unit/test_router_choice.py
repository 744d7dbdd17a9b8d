"""The pod that is chosen when Redis cannot be asked."""

from dataclasses import replace

import pytest

from outdial.domain.call_template import Pods
from outdial.routing.pod_registry import PodView
from outdial.routing.router import choose

pytestmark = pytest.mark.unit


def pod(
    name: str, used: int = 0, slots: int = 4, state: str = "ready", age: float = 0.5
) -> PodView:
    return PodView(name, "b1", f"wss://a/pods/{name}", slots, state, used, 0, age)  # type: ignore[arg-type]


def test_the_pod_that_was_prepared_is_taken_even_when_it_looks_full() -> None:
    found = choose([pod("a"), pod("b", used=4)], "b")  # one of the four is this call
    assert found is not None
    assert found.pod_id == "b"


@pytest.mark.parametrize("lost", [pod("b", state="draining"), pod("b", age=10)])
def test_else_the_least_loaded_that_takes_calls(lost: PodView) -> None:
    found = choose([pod("a", used=2), pod("c", used=1), lost], "b")
    assert found is not None
    assert found.pod_id == "c"


def test_load_is_a_share_of_the_slots() -> None:
    found = choose([pod("a", used=1, slots=2), pod("c", used=2, slots=8)], "none")
    assert found is not None
    assert found.pod_id == "c"


def test_the_pod_that_lost_the_call_is_not_taken_again() -> None:
    assert choose([pod("a")], "a", without="a") is None


def test_nobody_is_nobody() -> None:
    assert choose([], "a") is None
    assert choose([pod("a", used=4), pod("b", age=4)], "c") is None


def test_pods_that_carry_the_labels_come_first() -> None:
    here, there = pod("a", used=3), pod("b")
    here = replace(here, labels={"zone": "eu"})
    for kind, chosen in [
        (Pods({"zone": "eu"}), here),
        (Pods({"zone": "asia"}), there),
        (Pods({"zone": "asia"}, spill=False), None),
        (Pods(), there),
    ]:
        assert choose([here, there], "none", kind=kind) == chosen
