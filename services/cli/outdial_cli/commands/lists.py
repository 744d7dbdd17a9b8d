"""Templates, numbers, suppressions and pods: add to them, list them."""

from pathlib import Path
from typing import Annotated

import typer

from outdial_cli.connection import connect
from outdial_cli.output import counted, err, print_json, say
from outdial_cli.tables import show_rows

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
Phone = Annotated[str, typer.Argument(help="In E.164, like +14155550100.")]

templates = typer.Typer(help="Kinds of calls.", no_args_is_help=True)
numbers = typer.Typer(help="Numbers of yours that calls come from.", no_args_is_help=True)
suppressions = typer.Typer(help="Numbers that nobody here may call.", no_args_is_help=True)
pods = typer.Typer(help="Media pods, which hold the conversations.", no_args_is_help=True)


@templates.command("add")
def add_template(
    file: Annotated[Path, typer.Argument(help="YAML or JSON; see examples/templates.")],
    as_json: AsJson = False,
) -> None:
    """Add a template, or a new version of one."""
    with connect() as api:
        added = api.post_file("/v1/templates", file, "application/yaml")
    if as_json:
        print_json(added)
    else:
        say(f"{added['slug']}, version {added['version']}, is added.")


@templates.command("list")
def list_templates(as_json: AsJson = False) -> None:
    """Every template, with its newest version."""
    with connect() as api:
        show_rows(
            api.pages("/v1/templates"),
            ("slug", "version", "created_at"),
            as_json=as_json,
            none="No templates yet: `outdial template add examples/templates/...yaml`.",
        )


@numbers.command("add")
def add_number(
    phone: Phone,
    label: Annotated[str | None, typer.Option(help="What you call it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let calls come from a number of yours."""
    body = {"phone": phone} | ({"label": label} if label else {})
    with connect() as api:
        added = api.post("/v1/numbers", body)
    if as_json:
        print_json(added)
    else:
        say(f"{added['phone']} is added.")


@numbers.command("list")
def list_numbers(as_json: AsJson = False) -> None:
    """Every caller number."""
    with connect() as api:
        show_rows(
            api.pages("/v1/numbers"),
            ("phone", "label", "status", "set_aside_reason", "last_used_at"),
            as_json=as_json,
            none="No numbers yet: `outdial number add +1...`.",
        )


@numbers.command("sync")
def sync_numbers(as_json: AsJson = False) -> None:
    """Add the numbers of your Twilio account.

    It tells which of the others are not in it.
    """
    with connect() as api:
        done = api.post("/v1/numbers/sync")
    if as_json:
        print_json(done)
        return
    for phone in done["added"]:
        say(f"{phone} is added.")
    say(f"Added: {len(done['added'])}. There already: {len(done['known'])}.")
    if done["no_voice"]:
        say(f"Left out, for they cannot call: {', '.join(done['no_voice'])}")
    if done["not_in_account"]:
        say(f"Not in the account, and left as they are: {', '.join(done['not_in_account'])}")


@numbers.command("restore")
def restore_number(phone: Phone, as_json: AsJson = False) -> None:
    """Let calls come again from a number that was set aside."""
    with connect() as api:
        restored = api.post(f"/v1/numbers/{phone}/restore")
    if as_json:
        print_json(restored)
    else:
        say(f"Calls may come from {restored['phone']} again.")


@suppressions.command("import")
def import_suppressions(
    file: Annotated[Path, typer.Argument(help="CSV with a column `phone`, perhaps `reason`.")],
    as_json: AsJson = False,
) -> None:
    """Never call any number of a list again. Rows without a number are named (then exit 1)."""
    with connect() as api:
        done = api.post_file("/v1/suppressions/import", file, "text/csv")
    if as_json:
        print_json(done)
    else:
        say(
            f"{counted(done['added'], 'number is', 'numbers are')} suppressed now, "
            f"{counted(done['known'], 'was', 'were')} already."
        )
        if done["stopped_calls"]:
            say(f"{counted(done['stopped_calls'], 'call', 'calls')} to them stopped.")
        for item in done["problems"][:20]:
            err.print(f"row {item['row']}: {item['field']} {item['message']}", markup=False)
        if done["refused"]:
            refused = counted(done["refused"], "row was", "rows were")
            err.print(f"{refused} refused: mend the list and import it again.")
    if done["refused"]:
        raise typer.Exit(1)


@suppressions.command("add")
def add_suppression(
    phone: Phone,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the number.")] = "asked",
    as_json: AsJson = False,
) -> None:
    """Never call a number again; a call to it that is going on is ended."""
    with connect() as api:
        added = api.post("/v1/suppressions", {"phone": phone, "reason": reason})
    if as_json:
        print_json(added)
    else:
        say(f"{added['phone']} will not be called again.")


@suppressions.command("list")
def list_suppressions(as_json: AsJson = False) -> None:
    """Every suppressed number."""
    with connect() as api:
        show_rows(
            api.pages("/v1/suppressions"),
            ("phone", "reason", "source", "created_at"),
            as_json=as_json,
            none="Nobody has asked not to be called.",
        )


@pods.command("list")
def list_pods(as_json: AsJson = False) -> None:
    """Every pod that was heard of lately."""
    with connect() as api:
        show_rows(
            api.pages("/v1/pods"),
            ("pod_id", "state", "is_out", "slots", "live", "reserved", "age_seconds"),
            as_json=as_json,
            none="No pod is heard: is a media service running?",
        )


@pods.command("drain")
def drain_pod(
    pod_id: Annotated[str, typer.Argument(help="As `outdial pod list` names it.")],
    as_json: AsJson = False,
) -> None:
    """Let a pod take no new calls.

    Those that go on are not cut. It stays so until it is started anew.
    """
    with connect() as api:
        answer = api.post(f"/v1/pods/{pod_id}/drain", {})
    if as_json:
        print_json(answer)
    else:
        say(f"{pod_id} takes no new calls.")
