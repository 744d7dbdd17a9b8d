"""`outdial call`: one call, followed to its end."""

import time
from typing import Annotated

import typer

from outdial_cli.api_client import ApiClient, Json
from outdial_cli.connection import connect
from outdial_cli.output import err, print_json, say

_EVERY_SECONDS = 0.5
_LATE_SECONDS = 5.0  # a call that is not dialed after so long is told why


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(call)


def call(
    number: Annotated[str, typer.Argument(help="Whom to call, in E.164: +14155550100.")],
    template: Annotated[str, typer.Option(help="The kind of call.")] = "default",
    name: Annotated[str | None, typer.Option(help="The person's name.")] = None,
    caller: Annotated[str | None, typer.Option("--from", help="A number of yours.")] = None,
    var: Annotated[
        list[str] | None, typer.Option(help="A variable of the template: --var clinic=Lakeside")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Follow the call to its end.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Call one number; show what is said, and the outcome."""
    body: Json = {"to_number": number, "template": template, "variables": _variables(var or [])}
    body |= {"name": name} if name else {}
    body |= {"from_number": caller} if caller else {}
    with connect() as api:
        asked = api.post("/v1/calls", body)
        if wait:
            asked = _follow(api, asked["id"], quiet=as_json)
    if as_json:
        print_json(asked)
    elif not wait:
        say(f"Call {asked['id']} will be made; GET /v1/calls/{asked['id']} tells how it goes.")


def _variables(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--var")
        found[name] = value
    return found


def _follow(api: ApiClient, call_id: str, *, quiet: bool) -> Json:
    """Print what is new until the call's first attempt has ended; the whole call at last."""
    shown = _Shown(quiet)
    begun = time.monotonic()
    while True:
        found = api.get(f"/v1/calls/{call_id}")
        shown.show(found)
        if found["state"] == "ended":
            shown.end(found)
            return found
        if found["state"] == "waiting" and time.monotonic() - begun > _LATE_SECONDS:
            shown.late(found)
        time.sleep(_EVERY_SECONDS)


class _Shown:
    """What was printed of a call already."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._state = ""
        self._turns = 0
        self._late = ""

    def show(self, call: Json) -> None:
        if self._quiet:
            return
        if call["state"] != self._state:
            self._state = call["state"]
            say(f"[{call['to_number']}] {self._state.replace('_', ' ')}")
        for turn in call["transcript"][self._turns :]:
            say(f"  {turn['role']:>6}: {turn['text']}")
        self._turns = len(call["transcript"])

    def late(self, call: Json) -> None:
        """Say why nothing happens, once for each reason."""
        lead = call["lead"] or {}
        reason = lead.get("refusal") or "no worker or no media pod took it yet"
        if not self._quiet and reason != self._late:
            self._late = reason
            err.print(f"Not dialed yet: {reason}. (Ctrl-C leaves it waiting.)", markup=False)

    def end(self, call: Json) -> None:
        if self._quiet:
            return
        say(f"Outcome: {call['outcome']}")
        if call["result"]:
            say(f"Result:  {call['result']}")
        lead = call["lead"] or {}
        if lead.get("state") == "retry":
            who = "as asked" if lead["scheduled_by"] == "person" else "as the template says"
            say(f"It will be called again at {lead['next_attempt_at']}, {who}.")
        if call["recordings"]:
            say(f"Recording: GET /v1/calls/{call['attempt_id']}/recording")
