"""The schema's migrations. Apart from `engine`: no service needs Alembic, which is not small."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, text

from outdial.storage.engine import CONNECT, database

MIGRATIONS = Path(__file__).parent / "migrations"

# Any number that nothing else locks: two processes that upgrade at once do it one after the other.
_UPGRADE_LOCK = 0x0D1A1


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the schema up to `revision`."""
    _migrate(database_url, command.upgrade, revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take the schema back to `revision`; `base` takes everything away."""
    _migrate(database_url, command.downgrade, revision)


def _migrate(database_url: str, run: Callable[[Config, str], None], revision: str) -> None:
    engine = create_engine(database(database_url), connect_args=CONNECT, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        run(config, revision)
