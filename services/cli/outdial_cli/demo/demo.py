"""`outdial demo`: a campaign from a CSV file to an outcome for every lead, in three minutes.

Everything is real except the far ends, which the sandbox plays. At the end each outcome is
compared with the sandbox's ledger, which saw and heard what really happened.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from rich.table import Table

from outdial_cli.api_client import ApiClient, Json
from outdial_cli.demo import collect
from outdial_cli.demo.check import ReportedLead, Verdict, check
from outdial_cli.demo.summary import summary_of, write_json
from outdial_cli.demo.truth import dials
from outdial_cli.failure import CommandFailedError
from outdial_cli.output import err, out, say
from outdial_cli.progress import watch_campaign
from outdial_cli.stack.options import StackOptions, StackPaths
from outdial_cli.stack.stack import Stack

_PATIENCE_SECONDS = 160.0  # from the start of the campaigns
_COOLDOWN_SECONDS = 4  # instead of the templates' minutes and hours
# Everybody's ears and voices share this machine: with more at once a slow one would stutter.
_CALLS_PER_SECOND = 1.5
_ENVIRONMENT = {
    "OUTDIAL_POD_SLOTS": "8",
    "OUTDIAL_MAX_LIVE_CALLS": "10",
    "OUTDIAL_RING_TIMEOUT_SECONDS": "8",  # nobody waits half a minute for a phone in a demo
}


@dataclass(frozen=True)
class Round:
    """A campaign of the demo: what it calls with, and whom."""

    name: str
    template: Path
    leads: Path


def run_demo(var: Path, pods: int) -> int:
    """Run it; the exit code is 0 only if every outcome is the true one."""
    begun = time.monotonic()
    rounds = _rounds()
    home = var.absolute() / "demo"
    paths = StackPaths(run=var.absolute() / "run", data=home / "stack", log=home / "log")
    options = StackOptions(
        media=pods,
        durable=False,
        fresh=True,
        calls_per_second=_CALLS_PER_SECOND,
        env=_ENVIRONMENT,
    )
    say("Outdial demo: a campaign in the sandbox. Nobody's phone rings.")
    with Stack(paths, options, say=say) as stack, _client(stack) as api:
        for folder in ("recordings", "transcripts"):
            shutil.rmtree(home / folder, ignore_errors=True)
        _prepare(api, rounds)
        _call_everybody(api, rounds, stack)
        return _report(api, rounds, stack, home, begun)


def _client(stack: Stack) -> ApiClient:
    return ApiClient(stack.info.api_url, stack.info.api_key)


def _rounds() -> list[Round]:
    examples = _examples()
    templates = examples / "templates"
    return [
        Round("reminders", templates / "appointment-reminder.yaml", examples / "leads.csv"),
        Round("orders", templates / "order-follow-up.yaml", examples / "orders.csv"),
    ]


def _examples() -> Path:
    """The examples of this folder, or those of the project that this code belongs to."""
    for root in (Path.cwd(), *Path(__file__).resolve().parents):
        if (root / "examples" / "leads.csv").exists():
            return root / "examples"
    raise CommandFailedError("The demo needs examples/leads.csv: run it in the project's folder.")


def _prepare(api: ApiClient, rounds: Sequence[Round]) -> None:
    say("")
    for each in rounds:
        template = _hurried(yaml.safe_load(each.template.read_text(encoding="utf-8")))
        added = api.post("/v1/templates", template)
        say(f"template {added['slug']}, version {added['version']}: uploaded")
        api.post("/v1/campaigns", {"name": each.name, "template": added["slug"]})
        path = f"/v1/campaigns/{each.name}/leads?results=refused"
        done = api.post_file(path, each.leads, "text/csv")
        say(f"campaign {each.name}: {done['created']} leads from {each.leads.name}")
        if done["refused"]:
            raise CommandFailedError(f"{each.leads}: rows were refused: {done['results']}")
    say(f"(Here a call is repeated after {_COOLDOWN_SECONDS} s, not after minutes or hours.)")


def _hurried(template: Json) -> Json:
    """A template whose cooldowns are those of a demo, callable at any hour."""
    cooldowns = (
        "busy", "no_answer", "declined", "failed", "canceled", "machine", "technical_failure",
        "hung_up", "silent",
    )  # fmt: skip
    retry = {**template.get("retry", {}), "cooldowns": dict.fromkeys(cooldowns, _COOLDOWN_SECONDS)}
    return {**{k: v for k, v in template.items() if k != "hours"}, "retry": retry}


def _call_everybody(api: ApiClient, rounds: Sequence[Round], stack: Stack) -> None:
    say("")
    names = [each.name for each in rounds]
    for name in names:
        api.post(f"/v1/campaigns/{name}/start")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    if not watch_campaign(api, names, check=stack.check, deadline=deadline):
        err.print(f"Not everybody was reached within {_PATIENCE_SECONDS:.0f} s.")


def _report(api: ApiClient, rounds: Sequence[Round], stack: Stack, home: Path, begun: float) -> int:
    say("")
    say("collecting recordings and transcripts ...")
    names = [each.name for each in rounds]
    calls, leads = collect.all_calls(api, names), collect.all_leads(api, names)
    files = collect.file_names(calls, leads)
    saved = (
        collect.save_recordings(api, calls, files, home / "recordings"),
        collect.save_transcripts(calls, files, home / "transcripts"),
    )
    ledger = _ledger(stack.info.carrier_url)
    reported = [collect.reported_lead(lead) for lead in leads]
    attempts = [collect.reported_attempt(call) for call in calls]
    verdict = check(dials(ledger), reported, attempts)
    seconds = time.monotonic() - begun
    summary = summary_of(reported, len(calls), verdict, ledger, saved, seconds)
    write_json(home / "summary.json", summary)
    write_json(home / "ledger.json", ledger)
    _print_leads(leads, calls)
    _print_summary(summary, home)
    return _judge(reported, verdict, sum(bool(call["answered_at"]) for call in calls), saved)


def _ledger(carrier_url: str) -> Any:
    with httpx.Client(trust_env=False, timeout=30) as client:
        return client.get(f"{carrier_url}/sandbox/ledger").raise_for_status().json()


def _print_leads(leads: Sequence[Json], calls: Sequence[Json]) -> None:
    tried: dict[str, list[str]] = {}
    for call in calls:
        ending = call["to_number"][-2:]
        tried.setdefault(call["lead_id"], []).append(f"{call['outcome']} (..{ending})")
    table = Table("lead", "name", "calls", "outcome", box=None, pad_edge=False)
    for lead in leads:
        name = lead["contacts"][0]["name"] if lead["contacts"] else ""
        table.add_row(lead["external_id"], name, " → ".join(tried.get(lead["id"], [])), _word(lead))
    say("")
    out.print(table)


def _word(lead: Json) -> str:
    if lead["outcome"]:
        return str(lead["outcome"])
    if lead["scheduled_by"] == "person":
        return f"will be called {str(lead['next_attempt_at'])[:16]}, as asked"
    return str(lead["state"])


def _print_summary(summary: dict[str, Any], home: Path) -> None:
    say("")
    say(
        f"{summary['leads']} leads: {summary['finished']} finished, {summary['scheduled']} wait "
        f"for the time they asked for; {summary['attempts']} calls in {summary['seconds']} s."
    )
    first, turns = summary["answer_to_first_audio_ms"], summary["voice_to_voice_ms"]
    say(
        f"From answer to first audio: {first['p50']} ms (p95 {first['p95']}); from the person's "
        f"last sound to the agent's first: {turns['p50']} ms (p95 {turns['p95']})."
    )
    say(f"Listen:   {home / 'recordings'}  (the person left, the agent right)")
    say(f"Read:     {home / 'transcripts'}")
    say(f"Numbers:  {home / 'summary.json'}  (the truth they were checked against: ledger.json)")
    say("")
    say("Next: `make up`, then in another terminal `.venv/bin/outdial call +12125550101`.")
    say("For a real call with your own keys: README.md, and `.venv/bin/outdial doctor`.")


def _judge(
    leads: Sequence[ReportedLead], verdict: Verdict, answered: int, saved: tuple[int, int]
) -> int:
    """Say what does not fit, and turn it into an exit code."""
    problems = [
        f"{m.get('lead') or m.get('number')}: truth {m['truth']}, Outdial says {m['outdial']}"
        for m in verdict.mismatches
    ]
    unfinished = sum(not (lead.finished or lead.scheduled) for lead in leads)
    for count, what in (
        (verdict.double_dials, "double dials"),
        (verdict.lost_leads, "lost leads"),
        (unfinished, "leads are not finished"),
        (answered - saved[0], "recordings are missing"),
    ):
        if count:
            problems.append(f"{count} {what}")
    for problem in problems:
        err.print(problem, markup=False, style="red")
    if not problems:
        say("Every outcome is what the ledger says. Nobody was dialed twice, no lead was lost.")
    return 1 if problems else 0
