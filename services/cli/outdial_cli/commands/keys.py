"""`outdial key`: keys of the REST API. These go to the database: the first key has no key."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, TypeVar

import typer
from outdial.operations.api_keys import CreatedKey, create_api_key
from outdial.storage import api_keys
from outdial.storage.engine import open_sessions
from outdial.storage.tables import ApiKey
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from outdial_cli.connection import database_url
from outdial_cli.failure import CommandFailedError
from outdial_cli.output import out, print_json, say

app = typer.Typer(help="Keys of the REST API (needs DATABASE_URL).", no_args_is_help=True)

Sessions = async_sessionmaker[AsyncSession]
Found = TypeVar("Found")
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")] = "command line",
    role: Annotated[
        Literal["viewer", "operator", "admin"], typer.Option(help="What it may do.")
    ] = "operator",
    as_json: AsJson = False,
) -> None:
    """Make a key, and show it: once, it is not kept."""

    async def run(sessions: Sessions) -> CreatedKey:
        return await create_api_key(sessions, name, role)

    created = _with_database(run)
    if as_json:
        print_json({**_shown(created.key), "key": created.secret})
    else:
        say(created.secret)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """Every key, without its secret."""

    async def run(sessions: Sessions) -> list[ApiKey]:
        async with sessions() as session:
            return await api_keys.all_keys(session)

    rows = [_shown(key) for key in _with_database(run)]
    if as_json:
        print_json(rows)
        return
    table = Table("id", "name", "role", "begins with", "last used", "revoked")
    for row in rows:
        table.add_row(*(row[c] or "-" for c in ("id", "name", "role", "prefix", "used", "revoked")))
    out.print(table)


@app.command()
def revoke(
    key_id: Annotated[uuid.UUID, typer.Argument(help="As `outdial key list` shows.")],
) -> None:
    """End a key at once."""

    async def run(sessions: Sessions) -> bool:
        async with sessions.begin() as session:
            return await api_keys.revoke(session, key_id)

    if not _with_database(run):
        raise CommandFailedError(f"No key {key_id} is in use: `outdial key list` shows them.")
    say("Revoked.")


def _shown(key: ApiKey) -> dict[str, str | None]:
    return {
        "id": str(key.id),
        "name": key.name,
        "role": key.role,
        "prefix": key.prefix,
        "used": key.last_used_at.isoformat(timespec="seconds") if key.last_used_at else None,
        "revoked": key.revoked_at.isoformat(timespec="seconds") if key.revoked_at else None,
    }


def _with_database(run: Callable[[Sessions], Awaitable[Found]]) -> Found:
    async def within() -> Found:
        async with open_sessions(url, pool_size=1) as sessions:
            return await run(sessions)

    url = database_url()
    try:
        return asyncio.run(within())
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise CommandFailedError(
            f"The database refused: {reason}. Check DATABASE_URL, and run `outdial db upgrade`."
        ) from None
