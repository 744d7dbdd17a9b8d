"""Our bot: a media pod as it is deployed.

Its own process, a real Postgres and Redis, calls reserved and prepared while the telephone would
ring.
"""

import asyncio
import os
import sys
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from bench_stores import Stores, open_stores
from media_lab import Lab
from media_processes import BOT_CORE, answers, child, free_port, lives, until
from media_speech import GREETING
from outdial.domain.call_template import Agent, CallTemplate, Turns
from outdial.operations.create_template import create_template
from outdial.operations.runtime import Runtime, open_runtime
from outdial.routing.pod_registry import list_pods
from outdial.routing.slot_reservation import Slot, rebuild, reserve
from outdial.routing.stream_token import StreamClaims, sign
from outdial.settings import Settings
from outdial.storage.ids import new_id
from outdial.storage.tables import Attempt

SLOTS = 400


@dataclass
class OurPod:
    """A media pod with what it needs beside it."""

    pid: int
    settings: Settings
    runtime: Runtime
    template_id: uuid.UUID
    name: str = "ours"

    async def lines(self, count: int) -> list[str]:
        """Calls that were reserved and are prepared, as when a telephone has rung for a while."""
        ids = [new_id() for _ in range(count)]
        rows = [self._attempt(attempt_id) for attempt_id in ids]
        async with self.runtime.sessions.begin() as session:
            session.add_all(rows)
        boot_id = ""
        for attempt_id in ids:
            boot_id = (await self._reserve(attempt_id)).boot_id
        await self._prepared(count)
        await asyncio.sleep(1)  # the last ones have connected their providers
        expiry = time.time() + 600
        secret = self.settings.stream_secret
        return [
            f"{self.settings.pod_public_url}/ws/{self.template_id}/"
            + sign(secret, StreamClaims(attempt_id, 1, boot_id, expiry))
            for attempt_id in ids
        ]

    async def _prepared(self, count: int) -> None:
        """Wait, by what the pod tells the router: asking for its metrics stalls it 3 ms."""
        async with asyncio.timeout(120):
            while (await list_pods(self.runtime.redis))[0].preparing < count:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def _reserve(self, attempt_id: uuid.UUID) -> Slot:
        """A slot; a pod that was late a moment ago offers none until it is calm."""
        async with asyncio.timeout(60):
            while True:
                slot = await reserve(self.runtime.redis, attempt_id, 600)
                if isinstance(slot, Slot):
                    return slot
                await asyncio.sleep(0.5)

    def _attempt(self, attempt_id: uuid.UUID) -> Attempt:
        return Attempt(
            id=attempt_id,
            direction="inbound",  # needs no lead; the pod does not care
            template_id=self.template_id,
            phone=f"+1555{attempt_id.int % 10**7:07d}",
            caller_number="+15005550006",
            state="ringing",
            intent_at=datetime.now(UTC),
            call_sid=f"CA{attempt_id.hex}",
        )

    def counted(self, name: str) -> float:
        """What its /metrics say of `name`, written with its labels; 0 before the first event."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.port}/metrics") as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.rpartition(" ")[2])
        return 0.0


@asynccontextmanager
async def open_pod(lab: Lab, turns: Turns | None = None) -> AsyncIterator[OurPod]:
    """Stores, a template, and a pod."""
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores("media", durable=False))
        settings = _settings(stores, lab)
        runtime = await stack.enter_async_context(open_runtime(settings))
        await rebuild(runtime.redis, [])
        agent = Agent("Ada", GREETING, "Ask whether they can come.", max_minutes=30)
        template = CallTemplate("bench", agent, turns=turns or Turns())
        template_id = (await create_template(runtime, template)).id
        command = (sys.executable, "-m", "outdial_media")
        environment = _environment(settings) | lab.environment
        process = await stack.enter_async_context(
            child(command, env=environment, cwd=stores.base, core=BOT_CORE)
        )
        pids = {"postgres": stores.postgres.child.pid, "redis": stores.redis.child.pid}
        lab.others = lambda: pids
        stack.callback(setattr, lab, "others", dict)
        health = f"http://127.0.0.1:{settings.port}/health"
        await until(lambda: lives(process) and answers(health), 60)
        yield OurPod(process.pid, settings, runtime, template_id)


def _settings(stores: Stores, lab: Lab) -> Settings:
    port = free_port()
    return Settings(
        _env_file=None,
        database_url=stores.settings.database_url,
        redis_url=stores.settings.redis_url,
        public_url="https://bench.test",
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token="bench",
        twilio_api_base_url=lab.providers_url,
        deepgram_api_key="bench",
        deepgram_base_url=lab.secure_url,
        groq_api_key="bench",
        groq_base_url=lab.secure_url,
        pod_id="bench",
        pod_slots=SLOTS,
        port=port,
        pod_public_url=f"ws://127.0.0.1:{port}/pods/bench",
        log_level="WARNING",
    )


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PUBLIC_URL": settings.public_url,
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": "bench",
        "TWILIO_API_BASE_URL": settings.twilio_api_base_url,
        "DEEPGRAM_API_KEY": "bench",
        "DEEPGRAM_BASE_URL": settings.deepgram_base_url,
        "GROQ_API_KEY": "bench",
        "GROQ_BASE_URL": settings.groq_base_url,
        "OUTDIAL_POD_ID": settings.pod_id,
        "OUTDIAL_POD_SLOTS": str(settings.pod_slots),
        "OUTDIAL_POD_PUBLIC_URL": settings.pod_public_url,
        "OUTDIAL_PORT": str(settings.port),
        "OUTDIAL_LOG_LEVEL": settings.log_level,
    }
