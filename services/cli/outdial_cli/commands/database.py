"""`outdial db`: the schema."""

import typer
from sqlalchemy.exc import SQLAlchemyError

from outdial_cli.connection import database_url
from outdial_cli.failure import CommandFailedError
from outdial_cli.output import say

app = typer.Typer(help="The database's schema.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `upgrade` a subcommand, although it is the only one."""


@app.command()
def upgrade() -> None:
    """Bring the schema up to date.

    That of DATABASE_URL; safe to run twice, or twice at once.
    """
    from outdial.storage.schema import upgrade as run

    url = database_url()
    try:
        run(url)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise CommandFailedError(f"The database refused: {reason}. Check DATABASE_URL.") from None
    say("The schema is up to date.")
