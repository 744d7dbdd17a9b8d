"""`outdial key`: keys of the REST API. Only an admin's key may do this."""

import asyncio
import uuid
from typing import Annotated, Any, Literal

import typer
from sqlalchemy.exc import SQLAlchemyError

from outdial.operations.api_keys import Role, create_api_key
from outdial.storage.engine import open_sessions
from outdial_cli.connection import connect, database_url
from outdial_cli.failure import CommandFailedError
from outdial_cli.output import print_json, say
from outdial_cli.tables import show_rows

app = typer.Typer(help="Keys of the REST API.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")] = "command line",
    role: Annotated[
        Literal["viewer", "operator", "admin"], typer.Option(help="What it may do.")
    ] = "operator",
    database: Annotated[
        bool,
        typer.Option("--database", help="Write it straight into DATABASE_URL: the first key."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key, and show it: once, it is not kept."""
    if database:
        created = _in_database(database_url(), name, role)
    else:
        with connect() as api:
            created = api.post("/v1/keys", {"name": name, "role": role})
    if as_json:
        print_json(created)
    else:
        say(created["key"])


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """Every key, without its secret."""
    with connect() as api:
        show_rows(
            api.pages("/v1/keys"),
            ("id", "name", "role", "prefix", "last_used_at", "revoked_at"),
            as_json=as_json,
            none="No keys.",
        )


@app.command()
def revoke(
    key_id: Annotated[uuid.UUID, typer.Argument(help="As `outdial key list` shows it.")],
) -> None:
    """End a key at once."""
    with connect() as api:
        api.delete(f"/v1/keys/{key_id}")
    say("Revoked.")


def _in_database(url: str, name: str, role: Role) -> dict[str, Any]:
    async def make() -> dict[str, Any]:
        async with open_sessions(url, connections=1) as sessions:
            made = await create_api_key(sessions, name, role)
        return {"id": str(made.key.id), "name": name, "role": role, "key": made.secret}

    try:
        return asyncio.run(make())
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise CommandFailedError(
            f"The database refused: {reason}. Check DATABASE_URL, and run `outdial db upgrade`."
        ) from None
