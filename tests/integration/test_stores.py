"""The embedded stores, and the fixtures that every other test stands on."""

import psycopg
import pytest
import redis

pytestmark = pytest.mark.integration


def test_a_fresh_database_has_the_schema(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO numbers (phone) VALUES ('+15005550006')")
        found = connection.execute("SELECT count(*) FROM numbers").fetchone()
    assert found == (1,)


def test_the_next_test_does_not_see_it(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,)


def test_postgres_is_18_and_off_the_network(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.info.server_version // 10000 == 18
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


@pytest.mark.parametrize("_again", [1, 2])
def test_redis_is_empty_for_each_test(redis_url: str, _again: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("outdial:left", "behind")
        assert client.config_get("port") == {"port": "0"}
