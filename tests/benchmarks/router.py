"""`make bench ONLY=router`: how fast somebody who picked up is sent to a pod.

The answer route of a real gateway process (signature checked, both stores read, the event written
afterwards) beside an empty FastAPI route, both at 200 requests/s, in turns within one run; then
with each store away. A thousand pods are registered, and each call is answered once. With two
processors or more, both servers have one and everything else the others: a load generator that
waits for its own server measures itself. Writes var/bench/router.json.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import uvicorn
import uvloop
from fastapi import FastAPI, Response
from twilio.request_validator import RequestValidator

from http_load import Answer, answers_at, load, quantile, request, until
from outdial.domain.call_template import Agent, CallTemplate
from outdial.operations.create_template import create_template
from outdial.operations.runtime import Runtime, open_runtime
from outdial.routing.pod_registry import Heartbeat, beat
from outdial.routing.slot_reservation import Slot, rebuild, release, reserve
from outdial.settings import Settings
from outdial.storage.ids import new_id
from outdial.storage.schema import upgrade
from outdial.storage.tables import Attempt
from outdial.telephony.callbacks import AnswerHint
from outdial_cli.stack.embedded_postgres import EmbeddedPostgres
from outdial_cli.stack.embedded_redis import EmbeddedRedis

PODS = 1000
PER_SECOND = 200.0
SECONDS = float(os.environ.get("OUTDIAL_BENCH_SECONDS", "8"))
ROUNDS = 2
WARM_UP = 400
_CALLS = WARM_UP + ROUNDS * int(PER_SECOND * SECONDS)
_ALL = os.sched_getaffinity(0)
SERVERS = {max(_ALL)}
OTHERS = _ALL - SERVERS or _ALL
OUT = Path(__file__).parents[2] / "var/bench/router.json"
TOKEN = "bench-auth-token"
EMPTY = "<Response/>"


@dataclass
class World:
    """What is measured, and what it stands on."""

    settings: Settings
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    gateway: int
    empty: int
    requests: list[bytes]
    gateway_pid: int
    empty_pid: int


def main() -> int:
    """Measure, write, print."""
    if sys.argv[1:2] == ["--empty"]:
        uvicorn.run(_empty_app(), port=int(sys.argv[2]), log_config=None, access_log=False)
        return 0
    pin_to(OTHERS)  # the stores inherit it
    result = uvloop.run(measure())
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


async def measure() -> dict[str, Any]:
    """Every figure of the report."""
    async with _world() as world:
        count = int(PER_SECOND * SECONDS)
        plain = [request("/empty", b"a=b", {})] * count
        fresh = iter(world.requests)  # each call is answered once
        await load(world.empty, plain[:WARM_UP], PER_SECOND)
        await load(world.gateway, list(islice(fresh, WARM_UP)), PER_SECOND)
        empty: list[Answer] = []
        voice: list[Answer] = []
        cpu = [0.0, 0.0]
        for _ in range(ROUNDS):
            before = _cpu_seconds(world.empty_pid), _cpu_seconds(world.gateway_pid)
            empty += await load(world.empty, plain, PER_SECOND)
            cpu[0] += _cpu_seconds(world.empty_pid) - before[0]
            voice += await load(world.gateway, list(islice(fresh, count)), PER_SECOND)
            await asyncio.sleep(1)  # what is written after the answers is counted too
            cpu[1] += _cpu_seconds(world.gateway_pid) - before[1]
        reservations = await _reservations(world.settings)
        away = world.requests[: count // 2]
        assert world.redis.child is not None
        os.kill(world.redis.child.pid, signal.SIGSTOP)
        frozen_redis = await load(world.gateway, away, PER_SECOND)
        os.kill(world.redis.child.pid, signal.SIGCONT)
        await asyncio.sleep(1)
        await asyncio.to_thread(world.redis.stop)
        no_redis = await load(world.gateway, away, PER_SECOND)
        await asyncio.to_thread(world.redis.start)
        await _register(world.settings)
        await asyncio.sleep(2)
        await asyncio.to_thread(world.postgres.stop)
        no_postgres = await load(world.gateway, away, PER_SECOND)
    base, full = _figures(empty), _figures(voice)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(_ALL),
        "load_average_before": _LOAD_BEFORE,
        "pods": PODS,
        "requests_per_second": PER_SECOND,
        "empty_route": base | {"cpu_ms_per_request": round(cpu[0] * 1000 / len(empty), 2)},
        "answer": full | {"cpu_ms_per_request": round(cpu[1] * 1000 / len(voice), 2)},
        "p50_ratio": round(full["p50_ms"] / base["p50_ms"], 2),
        "p99_ratio": round(full["p99_ms"] / base["p99_ms"], 2),
        "target_p99_ratio": 5,
        "answer_redis_away": _figures(no_redis),
        "answer_redis_frozen": _figures(frozen_redis),
        "answer_postgres_away": _figures(no_postgres),
        "reservations_per_second": reservations,
    }


_LOAD_BEFORE = round(os.getloadavg()[0], 2)


def _figures(answers: Sequence[Answer]) -> dict[str, Any]:
    seconds = [answer.seconds for answer in answers]
    return {
        "requests": len(answers),
        "p50_ms": round(quantile(seconds, 0.5) * 1000, 2),
        "p99_ms": round(quantile(seconds, 0.99) * 1000, 2),
        "max_ms": round(max(seconds) * 1000, 2),
        "not_200": sum(answer.status != 200 for answer in answers),
        "connected": sum(b"<Stream" in answer.body for answer in answers),
    }


async def _reservations(settings: Settings) -> float:
    """Reserve and release, 40 at a time; slots reserved in a second."""
    async with open_runtime(settings) as runtime:
        ids = [uuid4() for _ in range(2000)]
        gate = asyncio.Semaphore(40)

        async def one(attempt_id: UUID) -> bool:
            async with gate:
                return isinstance(await reserve(runtime.redis, attempt_id, 30), Slot)

        began = time.perf_counter()
        held = sum(await asyncio.gather(*map(one, ids)))
        took = time.perf_counter() - began
        for attempt_id in ids:
            await release(runtime.redis, attempt_id)
    return round(held / took, 1)


@asynccontextmanager
async def _world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        base = Path(tempfile.mkdtemp(prefix="bench-router-", dir="/tmp"))
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        sockets = [base / "pg", base / "rd"]
        for folder in sockets:
            folder.mkdir()
        postgres = EmbeddedPostgres(base / "p", sockets[0], base / "p.log", durable=False)
        redis = EmbeddedRedis(base / "r", sockets[1], base / "r.log", durable=False)
        for server in (postgres, redis):
            stack.callback(server.stop)
            server.start()
        await asyncio.to_thread(upgrade, postgres.url())
        gateway, empty = _free_port(), _free_port()
        settings = _settings(postgres.url(), redis.url())
        await _register(settings)
        requests = await _attempts(settings)
        pids = [
            await stack.enter_async_context(_child(base, port, settings, *command))
            for port, command in (
                (gateway, ("-m", "outdial_api")),
                (empty, (str(Path(__file__)), "--empty", str(empty))),
            )
        ]
        await until(lambda: answers_at(gateway, "/ready"), 60)
        await until(lambda: answers_at(empty, "/empty"), 60)
        yield World(settings, postgres, redis, gateway, empty, requests, *pids)


def _settings(postgres: str, redis: str) -> Settings:
    return Settings(
        _env_file=None,
        database_url=postgres,
        redis_url=redis,
        public_url="https://bench.test",
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token=TOKEN,
        twilio_api_base_url="http://127.0.0.1:9",
        pod_out_after_seconds=3600,  # one beat is enough for pods that do not exist
        live_slot_lease_seconds=3601,
    )


async def _attempts(settings: Settings) -> list[bytes]:
    """Signed requests of calls that are answered."""
    async with open_runtime(settings) as runtime:
        template = CallTemplate("bench", Agent("Ada", "Hello.", "Ask."))
        template_id = (await create_template(runtime, template)).id
        rows = [_attempt(template_id, number) for number in range(_CALLS)]
        for row in rows:  # as the dialer does while the phone rings
            slot = await reserve(runtime.redis, row.id, 3600)
            if isinstance(slot, Slot):
                row.pod, row.boot_id = slot.pod_id, slot.boot_id
        async with runtime.sessions.begin() as session:
            session.add_all(rows)
        signed = RequestValidator(TOKEN)
        return [_request(signed, row.id, template_id, str(row.call_sid)) for row in rows]


def _attempt(template_id: UUID, number: int) -> Attempt:
    return Attempt(
        id=new_id(),
        direction="inbound",  # needs no lead; the route does not care
        template_id=template_id,
        phone=f"+1555{number:07d}",
        caller_number="+15005550006",
        state="ringing",
        intent_at=datetime.now(UTC),
        call_sid=f"CA{number:032d}",
    )


def _request(signed: RequestValidator, attempt_id: UUID, template_id: UUID, sid: str) -> bytes:
    hint = AnswerHint("pod-1", "b1", "wss://bench.test/pods/pod-1", template_id)
    path = f"/twilio/voice/{attempt_id}?{hint.query()}"
    form = {"CallSid": sid, "CallStatus": "in-progress", "From": "+1500", "ToCity": ""}
    signature = signed.compute_signature(f"https://bench.test{path}", form)
    return request(path, urlencode(form).encode(), {"X-Twilio-Signature": str(signature)})


async def _register(settings: Settings) -> None:
    async with open_runtime(settings) as runtime:
        await _beat_all(runtime)


async def _beat_all(runtime: Runtime) -> None:
    await rebuild(runtime.redis, [])
    for number in range(PODS):
        name = f"pod-{number}"
        heartbeat = Heartbeat(name, "b1", f"wss://bench.test/pods/{name}", 20)
        await beat(runtime.redis, heartbeat, runtime.settings)


@asynccontextmanager
async def _child(base: Path, port: int, settings: Settings, *command: str) -> AsyncIterator[int]:
    env = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PUBLIC_URL": settings.public_url,
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_BASE_URL": settings.twilio_api_base_url,
        "OUTDIAL_POD_OUT_AFTER_SECONDS": "3600",
        "OUTDIAL_LIVE_SLOT_LEASE_SECONDS": "3601",
        "OUTDIAL_PORT": str(port),
        "OUTDIAL_LOG_LEVEL": "ERROR",
    }
    with (base / f"{port}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=env, cwd=base, stdout=log, stderr=log
        )
    pin_to(SERVERS, process.pid)
    try:
        yield process.pid
    finally:
        process.kill()
        await process.wait()


def _empty_app() -> FastAPI:
    app = FastAPI()

    def answer() -> Response:
        return Response(EMPTY, media_type="application/xml")

    async def empty() -> Response:
        return answer()

    app.add_api_route("/empty", empty, methods=["GET", "POST"])
    return app


def pin_to(cores: set[int], pid: int = 0) -> None:
    """Have a process (ours: 0) run on these processors, and its later children too."""
    os.sched_setaffinity(pid, cores)


def _cpu_seconds(pid: int) -> float:
    """What a process has used of the processor: the one figure that a busy machine leaves alone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
