"""`outdial`: the command line."""

import sys
from typing import Annotated

import typer

from outdial_cli.commands import calls, campaigns, database, keys, lists, local
from outdial_cli.failure import CommandFailedError
from outdial_cli.output import err

app = typer.Typer(
    name="outdial",
    help="Outbound calling with a voice AI: dial, converse, retry, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
local.add_to(app)
calls.add_to(app)
app.add_typer(campaigns.app, name="campaign")
app.add_typer(lists.templates, name="template")
app.add_typer(lists.numbers, name="number")
app.add_typer(lists.suppressions, name="suppress")
app.add_typer(lists.pods, name="pod")
app.add_typer(keys.app, name="key")
app.add_typer(database.app, name="db")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"outdial {version('outdial')}")
        raise typer.Exit


@app.callback()
def _root(
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command: exit 1 for a failure, 2 for wrong usage, 130 for Ctrl-C."""
    try:
        app()
    except CommandFailedError as error:
        err.print(str(error), markup=False, style="red")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
