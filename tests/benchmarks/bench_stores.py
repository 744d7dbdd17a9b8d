"""Empty stores for a benchmark, and a gateway process over them; all gone on the way out."""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from http_load import answers_at, until
from outdial.settings import Settings
from outdial.storage.schema import upgrade
from outdial_cli.stack.embedded_postgres import EmbeddedPostgres
from outdial_cli.stack.embedded_redis import EmbeddedRedis


@dataclass(frozen=True)
class Stores:
    """A migrated Postgres and an empty Redis; `base` is a folder for files."""

    base: Path
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    settings: Settings

    def at(self, database: str) -> Settings:
        """Settings that name another database of the same server."""
        return self.settings.model_copy(update={"database_url": self.postgres.url(database)})


@asynccontextmanager
async def open_stores(name: str, *, durable: bool) -> AsyncIterator[Stores]:
    """Start them. `durable` as in production: commits wait for the disk."""
    async with AsyncExitStack() as stack:
        base = Path(tempfile.mkdtemp(prefix=f"bench-{name}-", dir="/tmp"))
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        for folder in ("pg", "rd"):
            (base / folder).mkdir()
        postgres = EmbeddedPostgres(base / "p", base / "pg", base / "p.log", durable=durable)
        redis = EmbeddedRedis(base / "r", base / "rd", base / "r.log", durable=False)
        for server in (postgres, redis):
            stack.callback(server.stop)
            await asyncio.to_thread(server.start)
        await asyncio.to_thread(upgrade, postgres.url())
        yield Stores(base, postgres, redis, _settings(postgres.url(), redis.url()))


def _settings(postgres: str, redis: str) -> Settings:
    return Settings(
        _env_file=None,
        database_url=postgres,
        redis_url=redis,
        public_url="https://bench.test",
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token="bench-auth-token",
        twilio_api_base_url="http://127.0.0.1:9",
    )


@asynccontextmanager
async def gateway(stores: Stores) -> AsyncIterator[tuple[str, int]]:
    """A gateway process: its address, and its process id."""
    port = _free_port()
    settings = stores.settings
    env = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PUBLIC_URL": settings.public_url,
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": settings.twilio_auth_token.get_secret_value(),
        "TWILIO_API_BASE_URL": settings.twilio_api_base_url,
        "OUTDIAL_PORT": str(port),
        "OUTDIAL_LOG_LEVEL": "ERROR",
    }
    with (stores.base / "gateway.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "outdial_api", env=env, cwd=stores.base, stdout=log, stderr=log
        )
    try:
        await until(lambda: answers_at(port, "/ready"), 60)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
