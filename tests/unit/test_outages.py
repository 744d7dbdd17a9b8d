"""A store that is away for a minute is two lines in the log, however many asked it."""

import pytest
import structlog

from outdial.observability.outages import REPEAT_SECONDS, Outages

pytestmark = pytest.mark.unit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_line_when_it_goes_and_one_when_it_is_back() -> None:
    clock = Clock()
    outages = Outages(clock)
    with structlog.testing.capture_logs() as lines:
        for _ in range(1000):
            outages.away("redis", "ConnectionError: refused\nwith more lines")
            clock.now += REPEAT_SECONDS / 1001
        assert outages.stores == ("redis",)
        outages.back("redis")
        outages.back("redis")
        outages.back("postgres")
    assert outages.stores == ()
    assert lines == [
        {
            "event": "store_away",
            "store": "redis",
            "reason": "ConnectionError: refused",
            "log_level": "warning",
        },
        {
            "event": "store_back",
            "store": "redis",
            "seconds": 59.9,
            "failures": 1000,
            "log_level": "warning",
        },
    ]


def test_a_long_outage_is_told_of_again_now_and_then() -> None:
    clock = Clock()
    outages = Outages(clock)
    with structlog.testing.capture_logs() as lines:
        for _ in range(10 * 60):
            outages.away("postgres", "")
            clock.now += 1
    assert [line["event"] for line in lines] == ["store_away", *["store_still_away"] * 9]
    assert lines[-1]["seconds"] == 9 * REPEAT_SECONDS


def test_each_store_has_its_own_outage() -> None:
    outages = Outages(Clock())
    with structlog.testing.capture_logs() as lines:
        outages.away("redis", "gone")
        outages.away("postgres", "gone")
        outages.back("redis")
        outages.away("redis", "gone again")
    assert [(line["event"], line["store"]) for line in lines] == [
        ("store_away", "redis"),
        ("store_away", "postgres"),
        ("store_back", "redis"),
        ("store_away", "redis"),
    ]
