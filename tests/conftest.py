"""What every test may use: rules about kinds of tests, and real stores for those that need them.

Each process that runs tests (each xdist worker) has one Postgres and one Redis of its own, started
by the first test that asks, gone with the process. Each test has a fresh database, copied from one
that holds the schema.
"""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import pytest_socket
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.configuration import set_hypothesis_home_dir
from xdist.scheduler import LoadScopeScheduling

from outdial.settings import Settings, variable_name
from outdial.storage.schema import upgrade
from outdial_cli.stack.embedded_postgres import EmbeddedPostgres
from outdial_cli.stack.embedded_redis import EmbeddedRedis
from outdial_cli.stack.socket_folder import forget_socket_folder, socket_folder

if TYPE_CHECKING:
    from outdial.operations.runtime import Runtime

KINDS = ("unit", "prop", "integration", "acceptance", "chaos")
TESTS = Path(__file__).parent
WHOLE_STACKS = ("acceptance", "chaos")  # the second pass of `make test` looks nowhere else

set_hypothesis_home_dir(TESTS.parent / "var" / "hypothesis")
# No test asserts a time: an example that a busy machine is slow with is no failure.
hypothesis_settings.register_profile(
    "outdial", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("outdial")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test that does not say of which kind it is, or that `make test` would not find."""
    nameless = [item.nodeid for item in items if not any(map(item.get_closest_marker, KINDS))]
    if nameless:
        raise pytest.UsageError(f"mark each test as one of {', '.join(KINDS)}: {nameless[:5]}")
    whole = [item for item in items if item.get_closest_marker("acceptance")]
    lost = [i.nodeid for i in whole if i.path.relative_to(TESTS).parts[0] not in WHOLE_STACKS]
    if lost:
        raise pytest.UsageError(f"acceptance tests stand in {', '.join(WHOLE_STACKS)}: {lost[:5]}")


class FolderScheduling(LoadScopeScheduling):
    """One process for each folder, whose tests share what they start."""

    def _split_scope(self, nodeid: str) -> str:
        return str(PurePosixPath(nodeid.partition("::")[0]).parent)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """With `--dist loadscope`. Its groups by mark have no effect in pytest 9.2 (xdist #1386)."""
    return FolderScheduling(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Keep unit and property tests off the network; skip what needs a package that is missing."""
    for marker in item.iter_markers("needs"):
        if shutil.which(marker.args[0]) is None:
            missing = f"needs {marker.args[0]} (a Debian package)"
            if os.environ.get("OUTDIAL_REQUIRE") == "1":
                pytest.fail(missing)  # where everything is installed, a skip would hide a hole
            pytest.skip(missing)
    if item.get_closest_marker("unit") or item.get_closest_marker("prop"):
        # Unix sockets stay: an event loop wakes itself up through a pair of them.
        pytest_socket.disable_socket(allow_unix_socket=True)


def pytest_runtest_teardown() -> None:
    """Give the network back."""
    pytest_socket.enable_socket()


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """Forget the settings of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        exporters = [name for name in os.environ if name.startswith("OTEL_")]
        for name in (*map(variable_name, Settings.model_fields), "LOCAL_SERVER_URL", *exporters):
            patch.delenv(name, raising=False)
        yield


@dataclass
class Servers:
    """A running Postgres, whose database `outdial` holds the schema and nothing else, and Redis."""

    postgres: EmbeddedPostgres
    redis: EmbeddedRedis

    def admin(self) -> psycopg.Connection:
        """A connection that may make and drop databases."""
        return psycopg.connect(self.postgres.url("postgres"), autocommit=True)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Postgres and one Redis for all tests of this process."""
    base = tmp_path_factory.mktemp("stores")
    with _stores(base) as (postgres, server):
        upgrade(postgres.url())
        yield Servers(postgres, server)
    shutil.rmtree(base, ignore_errors=True)


class _stores:  # noqa: N801 - a context manager
    def __init__(self, base: Path) -> None:
        self._links = (base / "pg", base / "rd")
        sockets = [socket_folder(link) for link in self._links]
        logs = base / "log"
        self._postgres = EmbeddedPostgres(base / "postgres", sockets[0], logs / "p", durable=False)
        self._redis = EmbeddedRedis(base / "redis", sockets[1], logs / "r", durable=False)

    def __enter__(self) -> tuple[EmbeddedPostgres, EmbeddedRedis]:
        self._postgres.start()
        self._redis.start()
        return self._postgres, self._redis

    def __exit__(self, *_exc: object) -> None:
        self._redis.stop()
        self._postgres.stop()
        for link in self._links:
            forget_socket_folder(link)


_numbers = count(1)


@pytest.fixture
def database_url(servers: Servers) -> Iterator[str]:
    """A database of this test's own, with the schema."""
    name = f"test_{next(_numbers)}"
    with servers.admin() as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE outdial')
        yield servers.postgres.url(name)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def empty_database_url(servers: Servers) -> Iterator[str]:
    """A database of this test's own with nothing in it."""
    name = f"test_{next(_numbers)}"
    with servers.admin() as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        yield servers.postgres.url(name)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def redis_url(servers: Servers) -> Iterator[str]:
    """An empty Redis."""
    url = servers.redis.url()
    client = redis.Redis.from_url(url)
    client.flushall()
    yield url
    with suppress(redis.RedisError):
        client.flushall()
    client.close()


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Settings of a test: its own stores, and a carrier at an address where nobody listens."""
    return Settings(
        _env_file=None,
        database_url=database_url,
        redis_url=redis_url,
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token="test-auth-token",
        twilio_phone_number="+15005550006",
        twilio_api_base_url="http://127.0.0.1:9",
        deepgram_api_key="test-deepgram",
        deepgram_base_url="http://127.0.0.1:9",
        groq_api_key="test-groq",
        groq_base_url="http://127.0.0.1:9",
        public_url="https://outdial.test",
        pod_public_url="wss://outdial.test/pods/pod-1",
        secret_key="test-secret",
    )


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator["Runtime"]:
    """The stores of `settings`, opened."""
    from outdial.operations.runtime import open_runtime  # rules are tested without Twilio's client

    async with open_runtime(settings) as opened:
        yield opened
