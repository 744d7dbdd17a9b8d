"""The gates before a call."""

from datetime import UTC, datetime, timedelta

import pytest

from outdial.domain.dial_gates import (
    Allowed,
    Reason,
    Refused,
    Verdict,
    campaign_runs,
    first_refusal,
    not_held,
    not_suppressed,
    within_life,
)
from outdial.domain.limits import LiveCalls, within_live_limits

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def reason(verdict: Verdict) -> Reason | None:
    return verdict.reason if isinstance(verdict, Refused) else None


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (campaign_runs("running", NOW), None),
        (campaign_runs("paused", NOW), Reason.CAMPAIGN_NOT_RUNNING),
        (campaign_runs("draft", NOW), Reason.CAMPAIGN_NOT_RUNNING),
        (campaign_runs("canceled", NOW), Reason.CAMPAIGN_NOT_RUNNING),
        (not_held(None, NOW), None),
        (not_held(NOW, NOW), Reason.HELD),
        (not_suppressed(False, NOW), None),
        (not_suppressed(True, NOW), Reason.SUPPRESSED),
        (not_suppressed(None, NOW), Reason.SUPPRESSED),
        (within_life(None, None, NOW), None),
        (within_life(NOW, NOW + HOUR, NOW), None),
        (within_life(NOW + HOUR, None, NOW), Reason.NOT_YET),
        (within_life(None, NOW, NOW), Reason.EXPIRED),
        (within_live_limits(LiveCalls(9, 2, 10, 3), NOW), None),
        (within_live_limits(LiveCalls(10, 2, 10, 3), NOW), Reason.LIVE_LIMIT),
        (within_live_limits(LiveCalls(9, 3, 10, 3), NOW), Reason.CAMPAIGN_LIVE_LIMIT),
        (within_live_limits(LiveCalls(9, 9, 10, None), NOW), None),
    ],
)
def test_gates(verdict: Verdict, expected: Reason | None) -> None:
    assert reason(verdict) is expected
    if isinstance(verdict, Refused):
        assert verdict.not_before >= NOW


def test_the_first_closed_gate_is_the_answer() -> None:
    held, expired = Refused(Reason.HELD, NOW), Refused(Reason.EXPIRED, NOW)
    assert first_refusal(Allowed(), held, expired) is held
    assert first_refusal(Allowed()) == Allowed()
    assert first_refusal() == Allowed()


def test_a_lead_looks_again_at_its_own_first_moment() -> None:
    assert within_life(NOW + HOUR, None, NOW) == Refused(Reason.NOT_YET, NOW + HOUR)


@pytest.mark.parametrize(
    ("live", "room"),
    [
        (LiveCalls(0, 0, 10), 10),
        (LiveCalls(4, 1, 10, 3), 2),
        (LiveCalls(9, 1, 10, 5), 1),
        (LiveCalls(12, 0, 10), 0),
    ],
)
def test_room(live: LiveCalls, room: int) -> None:
    assert live.room == room
