"""A real Celery worker with beat, over Redis on a Unix socket."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dialing_world import World
from outdial.settings import Settings
from outdial.storage.tables import Lead
from polling import until

pytestmark = pytest.mark.integration


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """A worker with beat in it; its log. The carrier's address is one where nobody listens."""
    log = tmp_path / "worker.log"
    env = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PUBLIC_URL": settings.public_url,
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": "test-auth-token",
        "TWILIO_PHONE_NUMBER": "+15005550006",
        "TWILIO_API_BASE_URL": settings.twilio_api_base_url,
        "OUTDIAL_POD_OUT_AFTER_SECONDS": "600",
        "OUTDIAL_LIVE_SLOT_LEASE_SECONDS": "601",
    }
    command = [sys.executable, "-m", "celery", "-A", "outdial_workers.worker_app", "worker"]
    options = ["-Q", "dial,settle,sweep", "-c", "2", "-B", "--without-gossip", "--without-mingle"]
    options += ["--schedule", str(tmp_path / "beat"), "--loglevel", "INFO"]
    with log.open("w") as out:
        child = subprocess.Popen(
            [*command, *options], env=env, cwd=tmp_path, stdout=out, stderr=out
        )
        try:
            yield log
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def said(log: Path) -> str:
    return log.read_text("utf-8")


async def test_ticks_claim_and_place_without_any_hint(world: World, worker: Path) -> None:
    lead: Lead = await world.add_lead()

    async def was_tried() -> bool:
        return (await world.lead(lead.id)).refusal == "not_sent"

    await until(was_tried, 30, lambda: said(worker))
    tried = await world.lead(lead.id)
    assert (tried.state, tried.unspent_tries) == ("backlog", 1)
    (attempt, *_) = await world.attempts_of(lead)
    assert (attempt.end_reason, attempt.spent) == ("not_sent", False)
    assert "+1212555" not in said(worker)


async def test_a_hint_is_heard_after_redis_was_emptied(world: World, worker: Path) -> None:
    lead = await world.add_lead()

    async def is_ready() -> bool:
        return " ready" in said(worker)

    await until(is_ready, 30, lambda: said(worker))
    await world.runtime.redis.flushall()
    await world.beat()

    async def was_tried() -> bool:
        return (await world.lead(lead.id)).refusal == "not_sent"

    await until(was_tried, 30, lambda: said(worker))
