"""Attempts that one message has settled: what one of them meets spoils no other."""

import uuid
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from dialing_world import World, status
from outdial.operations import settle_attempt as settling
from outdial.operations.record_callback import record_event
from outdial.operations.settle_attempt import settle_those_told
from outdial.storage.tables import Attempt

pytestmark = pytest.mark.integration


async def _busy(world: World) -> Attempt:
    attempt = await world.dial(await world.add_lead())
    assert attempt.call_sid is not None
    busy = status("busy", 2, attempt.call_sid)
    await record_event(world.runtime, attempt.id, busy, in_time=False)
    return attempt


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("anything"), "attempt_not_settled"),
        (OperationalError("SELECT", {}, ConnectionError()), "store_away"),
    ],
)
async def test_one_that_fails_spoils_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    bad, *good = [(await _busy(world)).id for _ in range(4)]
    settle = settling.settle_attempt

    async def fail_one(runtime: Any, attempt_id: uuid.UUID, **kwargs: Any) -> Any:
        if attempt_id == bad:
            raise error
        return await settle(runtime, attempt_id, **kwargs)

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(settling, "settle_attempt", fail_one)
        await settle_those_told(world.runtime, [bad, *good])
    assert told in {line["event"] for line in logs}
    assert [(await world.attempt(one)).state for one in good] == ["ended"] * 3
    assert (await world.attempt(bad)).state != "ended"
    await settle_those_told(world.runtime, [bad])  # as the sweep or the next hint has it
    assert (await world.attempt(bad)).outcome == "busy"
