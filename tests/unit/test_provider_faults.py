"""The providers' faults: which befalls which request, decided without a socket."""

from typing import Any

import pytest

from outdial_sandbox.providers.provider_faults import (
    KINDS,
    FaultDesk,
    FaultDesks,
    ProviderFaults,
)

pytestmark = pytest.mark.unit


def drawn(seed: int, **faults: float) -> list[str | None]:
    desk = FaultDesk(seed, ProviderFaults().changed(faults))
    return [desk.completion(calls_tool=False) for _ in range(2000)]


def test_the_same_seed_has_the_same_faults_and_another_has_others() -> None:
    assert drawn(7, model_500=0.2) == drawn(7, model_500=0.2)
    assert drawn(7, model_500=0.2) != drawn(8, model_500=0.2)


def test_shares_come_out_as_asked_and_one_request_has_one_fault() -> None:
    found = drawn(3, model_429=0.1, model_hang=0.3)
    assert found.count("model_429") == pytest.approx(200, abs=50)
    assert found.count("model_hang") == pytest.approx(600, abs=80)
    assert found.count(None) == pytest.approx(1200, abs=90)


def test_the_next_ones_fail_and_then_no_more() -> None:
    desk = FaultDesk()
    desk.change({"next": {"speak_hang": 2, "speak_429": 1}})
    assert [desk.spoken_reply() for _ in range(3)] == ["speak_hang", "speak_hang", None]
    assert [desk.speak_handshake() for _ in range(2)] == ["speak_429", None]
    assert desk.described()["injected"] == {"speak_hang": 2, "speak_429": 1}
    assert desk.described()["next"] == {}


def test_faults_of_tools_wait_for_an_answer_that_calls_one() -> None:
    desk = FaultDesk()
    desk.change({"next": {"model_tool_use_failed": 1}})
    assert desk.completion(calls_tool=False) is None
    assert desk.completion(calls_tool=True) == "model_tool_use_failed"


def test_a_key_has_faults_of_its_own() -> None:
    desks = FaultDesks()
    desks.change({"key": "one", "faults": {"listen_500": 1}})
    assert desks.of("Token one").listen_handshake() == "listen_500"
    assert desks.of("Bearer two").listen_handshake() is None
    assert desks.of("").listen_handshake() is None
    desks.change({"key": "one", "faults": None})
    assert desks.of("Token one").listen_handshake() is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fault": {}}, "unknown: fault"),
        ({"faults": {"model_503": 1}}, "unknown faults: model_503"),
        ({"faults": {"model_500": 2}}, "from 0 to 1"),
        ({"faults": {"model_500": True}}, "from 0 to 1"),
        ({"faults": {"model_500": 0.6, "model_429": 0.6}}, "may be 1 in all"),
        ({"faults": []}, "faults is an object"),
        ({"next": {"model_slow_seconds": 1}}, "unknown faults"),
        ({"next": {"model_500": -1}}, "whole number"),
        ({"seed": "x"}, "seed is a whole number"),
        ({"key": ""}, "key is the API key"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    values: dict[str, Any], message: str
) -> None:
    desks = FaultDesks()
    before = desks.described()
    with pytest.raises(ValueError, match=message):
        desks.change({"seed": 5, **values})
    assert desks.described() == before


def test_every_fault_has_a_share() -> None:
    assert set(KINDS) <= set(ProviderFaults().changed({}).__dataclass_fields__)
