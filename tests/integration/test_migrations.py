"""The schema that migrations make is the one that the code speaks to, there and back."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, NullPool, create_engine

from outdial.storage.engine import database
from outdial.storage.schema import downgrade, upgrade
from outdial.storage.tables import Base

pytestmark = pytest.mark.integration

# What autogenerate does not compare (checks, partial indexes' conditions, deferred keys) and what
# it does, as Postgres itself writes them down.
COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity "
    "FROM information_schema.columns WHERE table_schema = 'public'"
)
CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace"
)
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"


def engine(url: str) -> Engine:
    return create_engine(database(url), poolclass=NullPool)


def described(url: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        rows = [
            row for query in (COLUMNS, CONSTRAINTS, INDEXES) for row in connection.execute(query)
        ]
    return {row for row in rows if row[0] != "alembic_version"}


def test_autogenerate_finds_nothing_to_do(database_url: str) -> None:
    with engine(database_url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_make_exactly_what_the_tables_say(
    database_url: str, empty_database_url: str
) -> None:
    with engine(empty_database_url).begin() as connection:
        Base.metadata.create_all(connection)
    migrated = described(database_url)
    assert len(migrated) > 200
    assert migrated == described(empty_database_url)


def test_down_leaves_nothing_and_up_again_works(database_url: str) -> None:
    before = described(database_url)
    downgrade(database_url, "base")
    assert described(database_url) == set()
    upgrade(database_url)
    assert described(database_url) == before


def test_upgrading_twice_at_once_is_upgrading_once(
    database_url: str, empty_database_url: str
) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(upgrade, [empty_database_url] * 3))
    assert described(empty_database_url) == described(database_url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_any_spelling_of_a_postgres_url_is_understood(scheme: str) -> None:
    url = database(f"{scheme}://u:p@host/name?sslmode=require")
    assert url.render_as_string(hide_password=False) == (
        "postgresql+psycopg://u:p@host/name?sslmode=require"
    )
