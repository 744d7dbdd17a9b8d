"""`outdial campaign`: make one, fill it, run it, watch it, take the results."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

import typer

from outdial_cli.api_client import Json
from outdial_cli.connection import connect
from outdial_cli.failure import CommandFailedError
from outdial_cli.output import counted, err, print_json, say
from outdial_cli.progress import describe, watch_campaign

app = typer.Typer(help="A template applied to many leads.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
Campaign = Annotated[str, typer.Argument(help="The campaign's name or id.")]

_TYPES = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
}
_SHOWN_REFUSALS = 20
_STDIN = Path("-")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="How you will call it.")],
    template: Annotated[str, typer.Option(help="The template's slug.")],
    caller: Annotated[
        list[str] | None,
        typer.Option("--from", help="A number of yours to call from; may be repeated."),
    ] = None,
    max_live: Annotated[int | None, typer.Option(min=1, help="Calls at the same time.")] = None,
    hours: Annotated[
        Path | None, typer.Option(help="YAML or JSON of hours; without it, the template's hold.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a campaign. It calls nobody before `campaign start`."""
    body: Json = {"name": name, "template": template, "caller_numbers": caller or []}
    if hours is not None:
        body["hours"] = _hours_in(hours)
    if max_live is not None:
        body["max_live_calls"] = max_live
    with connect() as api:
        _show(api.post("/v1/campaigns", body), as_json)


@app.command("import")
def import_leads(
    campaign: Campaign,
    file: Annotated[
        Path, typer.Argument(help="CSV, JSON or NDJSON, by its ending; -: CSV from stdin.")
    ],
    as_json: AsJson = False,
) -> None:
    """Add leads from a file. Good rows are in even when others are refused (then exit 1).

    Importing the very same file again adds nothing twice. Of a changed one, rows are known again
    by their external_id.
    """
    content_type = _TYPES.get(".csv" if file == _STDIN else file.suffix.lower())
    if content_type is None:
        raise CommandFailedError(f"{file}: give it an ending that says what it is: .csv, .json ...")
    with connect() as api, _kept(file) as kept:
        path = f"/v1/campaigns/{campaign}/leads?results=refused"
        done = api.post_file(path, kept, content_type, _key_of(campaign, kept))
    if as_json:
        print_json(done)
    else:
        _report(done)
    if done["refused"]:
        raise typer.Exit(1)


@app.command()
def start(campaign: Campaign, as_json: AsJson = False) -> None:
    """Let a campaign call."""
    _pull(campaign, "start", as_json)


@app.command()
def pause(campaign: Campaign, as_json: AsJson = False) -> None:
    """Call nobody more for now; calls that go on are not touched."""
    _pull(campaign, "pause", as_json)


@app.command()
def resume(campaign: Campaign, as_json: AsJson = False) -> None:
    """Let a paused campaign call again."""
    _pull(campaign, "resume", as_json)


@app.command()
def cancel(
    campaign: Campaign,
    hang_up: Annotated[bool, typer.Option(help="Also end the calls that go on.")] = False,
    as_json: AsJson = False,
) -> None:
    """End a campaign for good."""
    _pull(campaign, f"cancel?live={'hangup' if hang_up else 'finish'}", as_json)


@app.command("list")
def list_campaigns(as_json: AsJson = False) -> None:
    """Every campaign, the newest first."""
    from outdial_cli.tables import show_rows

    with connect() as api:
        show_rows(
            api.pages("/v1/campaigns"),
            ("name", "status", "template", "template_version", "created_at"),
            as_json=as_json,
            none="No campaigns yet: `outdial campaign create NAME --template SLUG`.",
        )


@app.command()
def status(campaign: Campaign, as_json: AsJson = False) -> None:
    """How far it is."""
    with connect() as api:
        _show(api.get(f"/v1/campaigns/{campaign}"), as_json)


@app.command()
def check(campaign: Campaign, as_json: AsJson = False) -> None:
    """Dial nobody: say who can be called, when, and why not."""
    with connect() as api:
        found = api.post(f"/v1/campaigns/{campaign}/check", timeout=600)
    if as_json:
        print_json(found)
        return
    for line in found["text"]:
        say(line)


@app.command()
def watch(campaign: Campaign) -> None:
    """Follow it to the end.

    Until every lead is finished, or waits for a time its person asked for.
    """
    with connect() as api:
        watch_campaign(api, [campaign])


@app.command()
def export(
    campaign: Campaign,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; without it, stdout.")
    ] = None,
) -> None:
    """The outcome of every lead, as CSV."""
    path = f"/v1/campaigns/{campaign}/results.csv"
    with connect() as api:
        if output is None:
            for piece in api.text(path):
                sys.stdout.write(piece)
            return
        api.download(path, output)
    say(f"Written to {output}.")


def _hours_in(file: Path) -> Json:
    """The table of a file, with or without the key `hours` above it, as in a template."""
    import yaml

    try:
        read = yaml.load(file.read_text("utf-8"), yaml.BaseLoader)  # noqa: S506 - text only
    except OSError as error:
        raise CommandFailedError(f"{file}: {error.strerror}. Give the path of a file.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise CommandFailedError(f"{file} is not readable as YAML or JSON.") from None
    inner = read.get("hours", read) if isinstance(read, dict) else read
    if not isinstance(inner, dict):
        raise CommandFailedError(f"{file} holds no hours: see docs/calling-rules.md.")
    return inner


def _pull(campaign: str, lever: str, as_json: bool) -> None:
    with connect() as api:
        _show(api.post(f"/v1/campaigns/{campaign}/{lever}"), as_json)


def _show(campaign: Json, as_json: bool) -> None:
    if as_json:
        print_json(campaign)
        return
    for line in describe(campaign):
        say(line)


def _report(done: Json) -> None:
    say(f"{counted(done['created'], 'lead is', 'leads are')} in.")
    if done["duplicates"]:
        say(f"{counted(done['duplicates'], 'was', 'were')} in already.")
    refused: list[dict[str, Any]] = [r for r in done["results"] if r["status"] == "refused"]
    for item in refused[:_SHOWN_REFUSALS]:
        err.print(f"row {item['row']}: {item['field']} {item['message']}", markup=False)
    if len(refused) > _SHOWN_REFUSALS:
        err.print(f"... and {len(refused) - _SHOWN_REFUSALS} more (--json has them all)")
    if refused:
        err.print(f"{counted(len(refused), 'row was', 'rows were')} refused. {_how_to_mend(done)}")


def _how_to_mend(done: Json) -> str:
    """What is imported twice is called twice, unless an external_id tells that it is the same."""
    if not done["created"]:
        return "Mend the file and import it again."
    return (
        "Mend and import them in a file of their own: rows that are in already, and have no "
        "external_id, would be called a second time."
    )


@contextmanager
def _kept(file: Path) -> Iterator[Path]:
    """`file`, or what stdin holds as one: it is read twice."""
    if file != _STDIN:
        yield file
        return
    with NamedTemporaryFile(suffix=".csv") as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        kept.flush()
        yield Path(kept.name)


def _key_of(campaign: str, file: Path) -> str:
    """The same for the same file into the same campaign: an import cut short can be run again."""
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise CommandFailedError(f"{file}: {error.strerror}. Give the path of a file.") from None
    # A header holds ASCII only, and a campaign may be called anything.
    into = hashlib.sha256(campaign.encode()).hexdigest()
    return f"import-{into[:16]}-{digest[:32]}"
