"""A campaign as it moves: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from outdial_cli.api_client import ApiClient, Json
from outdial_cli.output import counted, out, say

_EVERY_SECONDS = 1.0
_NAMES = {"backlog": "waiting", "active": "on the phone", "retry": "to be called again"}


def describe(campaign: Json) -> list[str]:
    """A campaign in a few lines."""
    leads = campaign["leads"]
    lines = [
        f"{campaign['name']}: {campaign['status']}, template {campaign['template']} "
        f"version {campaign['template_version']}, {counted(leads['total'], 'lead')}"
    ]
    if campaign.get("paused_reason"):
        lines.append(f"  paused:    {campaign['paused_reason']}")
    if campaign.get("closed_until"):
        lines.append(
            f"  closed:    outside the hours of all its leads until {campaign['closed_until']}"
        )
    states = {_NAMES.get(state, state): count for state, count in leads["states"].items() if count}
    if states:
        lines.append("  leads:     " + _list(states))
    if leads["outcomes"]:
        lines.append("  outcomes:  " + _list(leads["outcomes"]))
    if campaign["refusals"]:
        lines.append("  held back: " + _list(campaign["refusals"]))
    return lines


def watch_campaign(
    api: ApiClient,
    names: Sequence[str],
    until: Callable[[Sequence[Json]], bool] | None = None,
    check: Callable[[], None] = lambda: None,
    deadline: float = float("inf"),
) -> bool:
    """Show campaigns until `until` holds (default: nothing is left to do).

    `check` is called at each look, and may raise. Returns False when `deadline`, on the monotonic
    clock, passed first.
    """
    done = until or (lambda found: all(is_done(api, campaign) for campaign in found))
    show = _LiveTable() if out.is_terminal else _Lines()
    with show:
        while True:
            check()
            found = [api.get(f"/v1/campaigns/{name}") for name in names]
            calls = [
                call
                for campaign in found
                for call in api.get("/v1/calls", campaign=campaign["id"], limit=12)["items"]
            ]
            show.show(found, calls)
            if done(found):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_EVERY_SECONDS)


def is_done(api: ApiClient, campaign: Json) -> bool:
    """Whether every lead is finished, or waits for a time that its person asked for."""
    states = campaign["leads"]["states"]
    if campaign["status"] == "canceled":
        return not states["active"]
    if states["backlog"] or states["active"]:
        return False
    if not states["retry"]:
        return True
    waiting = api.pages(f"/v1/campaigns/{campaign['id']}/leads", state="retry")
    return all(lead["scheduled_by"] == "person" for lead in waiting)


class _Lines:
    """One line for each change."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self._states: dict[str, str] = {}

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_exc: object) -> None:
        pass

    def show(self, campaigns: Sequence[Json], calls: Sequence[Json]) -> None:
        for call in sorted(calls, key=lambda one: str(one["queued_at"])):
            state = _state(call)
            if self._states.get(call["id"]) != state and call["state"] in {"in_progress", "ended"}:
                say(f"  {call['to_number']}  {state}")
            self._states[call["id"]] = state
        for campaign in campaigns:
            line = _line(campaign)
            if self._last.get(campaign["id"]) != line:
                say(line)
            self._last[campaign["id"]] = line


class _LiveTable:
    """A table that stays in place."""

    def __init__(self) -> None:
        self._live = Live(console=out, auto_refresh=False, transient=False)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_exc: object) -> None:
        self._live.stop()

    def show(self, campaigns: Sequence[Json], calls: Sequence[Json]) -> None:
        parts: list[Any] = []
        for campaign in campaigns:
            leads = campaign["leads"]
            parts += [
                Text(_line(campaign)),
                ProgressBar(leads["total"] or 1, leads["states"]["finished"], width=60),
            ]
        table = Table("number", "pod", "call", box=None, pad_edge=False, header_style="bold")
        newest = sorted(calls, key=lambda call: str(call["queued_at"]), reverse=True)
        for call in newest[:12]:
            table.add_row(call["to_number"], call["pod"] or "-", _state(call))
        self._live.update(Group(*parts, Text(""), table), refresh=True)


def _line(campaign: Json) -> str:
    leads = campaign["leads"]
    states = leads["states"]
    parts = [f"{campaign['name']}: {states['finished']}/{leads['total']} finished"]
    parts += [f"{states[state]} {name}" for state, name in _NAMES.items() if states[state]]
    return ", ".join(parts)


def _state(call: Json) -> str:
    if call["state"] == "ended":
        return str(call["outcome"])
    return str(call["state"]).replace("_", " ")


def _list(counts: dict[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count} {name}" for name, count in ranked)
