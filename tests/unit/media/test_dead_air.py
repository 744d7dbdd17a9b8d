"""Fillers: when they are due, and when nobody owes an answer any more."""

import asyncio

import pytest

from outdial_media import dead_air
from outdial_media.dead_air import MOST, DeadAir

pytestmark = pytest.mark.unit


class Call:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: float = 0.02) -> None:
        monkeypatch.setattr(dead_air, "GRACE_SECONDS", 0.02)
        monkeypatch.setattr(dead_air, "GAP_SECONDS", 0.01)
        self.filled: list[int] = []
        self.given_up = asyncio.Event()
        self.first = asyncio.Event()
        self.air = DeadAir(after, self._fill, self.given_up.set)

    def _fill(self, number: int) -> float | None:
        self.filled.append(number)
        self.first.set()
        return 0.01 if number % 2 else None


async def test_an_answer_that_never_comes_is_covered_and_then_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = Call(monkeypatch)
    call.air.owed(None)
    await asyncio.wait_for(call.given_up.wait(), 10)
    assert call.filled == list(range(MOST))


async def test_an_answer_that_is_heard_needs_no_filler(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Call(monkeypatch)
    call.air.owed(None)
    call.air.over()
    other = Call(monkeypatch)  # the clock: its filler was asked for later
    other.air.owed(None)
    await asyncio.wait_for(other.first.wait(), 10)
    other.air.over()
    assert call.filled == []


async def test_an_answer_that_a_tool_delays_goes_on_being_owed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = Call(monkeypatch)
    call.air.owed(None)
    await asyncio.wait_for(call.first.wait(), 10)
    call.air.owed(None)  # the model goes on from what the tool answered
    await asyncio.wait_for(call.given_up.wait(), 10)
    assert call.filled == list(range(MOST)), "not begun anew"


async def test_silence_counts_from_the_persons_last_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = Call(monkeypatch, after=3600.0)
    long_ago = asyncio.get_running_loop().time() - 3600.0
    call.air.owed(long_ago)
    await asyncio.wait_for(call.first.wait(), 10)
    call.air.over()
