"""Garbage is looked for when nobody is heard, and seldom otherwise."""

import pytest

from outdial_media.garbage import FIRST_PAUSES, MOST_ENDED, Garbage

pytestmark = pytest.mark.unit


class Collector:
    def __init__(self) -> None:
        self.did: list[str] = []

    def collect(self) -> None:
        self.did.append("collect")

    def freeze(self) -> None:
        self.did.append("freeze")

    def set_threshold(self, *_: int) -> None:
        self.did.append("set_threshold")


def _started() -> tuple[Garbage, Collector]:
    collector = Collector()
    garbage = Garbage(collector)
    garbage.start()
    assert collector.did == ["collect", "freeze", "set_threshold"]
    collector.did.clear()
    return garbage, collector


def test_what_the_first_calls_have_loaded_is_looked_at_no_more() -> None:
    garbage, collector = _started()
    for _ in range(FIRST_PAUSES):
        garbage.pause()
    assert collector.did == ["collect", "freeze"] * FIRST_PAUSES
    collector.did.clear()
    garbage.pause()
    assert collector.did == ["collect"], "what is kept by mistake is kept three times at most"


def test_beside_calls_it_is_looked_for_seldom() -> None:
    garbage, collector = _started()
    for _ in range(MOST_ENDED - 1):
        garbage.call_ended()
    assert collector.did == []
    garbage.call_ended()
    assert collector.did == ["collect"]
    for _ in range(MOST_ENDED - 1):
        garbage.call_ended()
    assert collector.did == ["collect"]
    garbage.pause()
    garbage.call_ended()
    assert collector.did == ["collect", "collect", "freeze"]
