"""Admission closes before quality suffers, and does not flutter."""

import asyncio
import time
from itertools import repeat

import pytest

from outdial_media.loop_lag import CALM_SECONDS, TICK_SECONDS, Overload, watch_lag

pytestmark = pytest.mark.unit


def _after(*lags: float, overload: Overload | None = None, at: float = 0.0) -> Overload:
    overload = overload or Overload()
    for lag in lags:
        at += TICK_SECONDS + lag
        overload.tick(lag, at)
    return overload


def test_a_short_stall_closes_nothing() -> None:
    assert not _after(0.5, *repeat(0.001, 50)).closed


@pytest.mark.parametrize("lags", [(1.0,), tuple(repeat(0.12, 20))], ids=["one_long", "many_short"])
def test_a_late_loop_closes(lags: tuple[float, ...]) -> None:
    assert _after(*lags).closed


def test_it_opens_only_after_calm() -> None:
    overload = _after(*repeat(0.2, 20))
    now = 100.0
    while overload.lag >= 0.015:
        now += TICK_SECONDS
        overload.tick(0.0, now)
    assert overload.closed
    overload.tick(0.0, now + CALM_SECONDS - 0.1)
    assert overload.closed
    assert overload.tick(0.0, now + CALM_SECONDS + 0.1)
    assert not overload.closed


def test_lag_that_comes_back_starts_the_calm_anew() -> None:
    overload = _after(*repeat(0.2, 20))
    _after(*repeat(0.0, 100), overload=overload, at=100.0)
    _after(0.4, overload=overload, at=102.5)
    _after(*repeat(0.0, 100), overload=overload, at=103.0)
    assert overload.closed


async def test_a_blocked_loop_is_noticed() -> None:
    overload, changes = Overload(), asyncio.Event()
    watching = asyncio.create_task(watch_lag(overload, changes.set))
    try:
        await asyncio.sleep(0)  # it has begun to wait for its first tick
        time.sleep(1.2)  # noqa: ASYNC251 - this is what is tested
        async with asyncio.timeout(5):
            await changes.wait()
        assert overload.closed
    finally:
        watching.cancel()
