"""Commands that run things on this machine: demo, up, sandbox, doctor."""

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from outdial.settings import Settings, SettingsError, load_settings
from outdial_cli.connection import VAR
from outdial_cli.failure import CommandFailedError
from outdial_cli.launching import launching
from outdial_cli.output import say
from outdial_cli.stack.options import StackOptions, StackPaths
from outdial_cli.stack.stack_file import StackInfo


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(demo)
    app.command()(up)
    app.command()(sandbox)
    app.command()(doctor)


def demo(
    pods: Annotated[int, typer.Option(min=1, max=8, help="Media pods to start.")] = 2,
) -> None:
    """Run a campaign in the sandbox, and check every outcome.

    What the sandbox's ledger saw and heard is the truth that it is checked against.
    """
    from outdial_cli.demo.demo import run_demo

    with launching(until_stopped=False):
        code = run_demo(VAR, pods)
    raise typer.Exit(code)


def up(
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Call the people of the sandbox: no account needed.")
    ] = False,
    media: Annotated[int, typer.Option(min=1, max=16, help="Media pods to start.")] = 1,
) -> None:
    """Run all of Outdial here until Ctrl-C."""
    from outdial_cli.stack.stack import Stack

    settings = None if sandbox else _real_settings()
    options = StackOptions(sandbox=sandbox, media=media, port=settings.port if settings else 8000)
    paths = StackPaths.under(VAR)
    with launching(until_stopped=True) as signals, Stack(paths, options, settings, say) as stack:
        signals.hurry = stack.kill
        _introduce(stack.info, sandbox)
        while True:
            stack.check()
            time.sleep(0.5)


def sandbox(
    port: Annotated[int, typer.Option(help="The carrier's port.")] = 8100,
    providers_port: Annotated[int, typer.Option(help="The providers' port.")] = 8101,
    account_sid: Annotated[
        str,
        typer.Option(help="AC and 32 hex digits; made up if you give none."),
    ] = "",
    auth_token: Annotated[
        str, typer.Option(help="Signs the webhooks; made up if you give none.")
    ] = "",
    calls_per_second: Annotated[
        float, typer.Option(min=0.1, help="How fast it places calls; others wait in its queue.")
    ] = 1.0,
) -> None:
    """Run only the sandbox, for any Twilio application.

    A telephone network, and what plays Deepgram and Groq: see docs/sandbox.md.
    """
    from outdial_cli.stack.sandbox_only import SandboxOnly, SandboxSettings

    settings = SandboxSettings(port, providers_port, account_sid, auth_token, calls_per_second)
    with launching(until_stopped=True), SandboxOnly(VAR, settings) as running:
        say(running.introduction())
        while True:
            running.check()
            time.sleep(0.5)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what is missing for a real call (then exit 1)."""
    from outdial_cli.doctor.report import run_doctor

    raise typer.Exit(run_doctor(as_json))


def _real_settings() -> Settings:
    try:
        settings = load_settings()
    except SettingsError as error:
        raise CommandFailedError(str(error)) from None
    wanted = {
        "TWILIO_ACCOUNT_SID": settings.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": settings.twilio_auth_token.get_secret_value(),
        "TWILIO_PHONE_NUMBER": settings.twilio_phone_number,
        "DEEPGRAM_API_KEY": settings.deepgram_api_key.get_secret_value(),
        "GROQ_API_KEY": settings.groq_api_key.get_secret_value(),
        "PUBLIC_URL": settings.public_url,
    }
    missing = [name for name, value in wanted.items() if not value]
    if missing:
        raise CommandFailedError(
            f"Real calls need {', '.join(missing)}: set them in .env (see .env.example; "
            "`outdial doctor` says more), or call the sandbox's people with `outdial up --sandbox`."
        )
    return settings


def _introduce(info: StackInfo, sandbox: bool) -> None:
    where = "the sandbox" if sandbox else "real telephones"
    say("")
    say(f"Outdial is up and calls {where}.")
    say(f"  REST API     {info.api_url}/v1    (documentation: {info.api_url}/docs)")
    say(f"  Admin key    {info.api_key}")
    say(f"  Flower       {info.flower_url}")
    if info.carrier_url:
        say(f"  Sandbox      {info.carrier_url}/sandbox/people    (who answers which number)")
        say(f"  Ledger       {info.carrier_url}/sandbox/ledger")
    say(f"  Media pods   {len(info.pods)}")
    say(f"  Logs         {Path('var/log')}")
    say("")
    example = "+12125550100" if sandbox else "+1..."
    say(f"Try, in another terminal in this folder: {_as_typed()} call {example}")
    say("Ctrl-C stops everything.")


def _as_typed() -> str:
    """`outdial` as it can be typed here: by its path where the name alone leads elsewhere."""
    ours = Path(sys.argv[0])
    if ours.name != "outdial" or shutil.which("outdial") == str(ours):
        return "outdial"
    return os.path.relpath(ours)
