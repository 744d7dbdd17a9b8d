"""What the demo takes home: every call, its recording, its transcript."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from outdial_cli.api_client import ApiClient, Json
from outdial_cli.demo.check import ReportedAttempt, ReportedLead
from outdial_cli.failure import CommandFailedError

_RECORDING_PATIENCE = 20.0
# An attempt in which the person asked for another time is told apart by that, unless the agent
# learned something that outranks it.
_GRAVER = {"opted_out", "wrong_person"}


def all_calls(api: ApiClient, campaigns: Iterable[str]) -> list[Json]:
    """Every attempt of these campaigns with all that is known of it, in the order of dialing."""
    listed = [call for name in campaigns for call in api.pages("/v1/calls", campaign=name)]
    listed.sort(key=lambda call: str(call["queued_at"]))
    return [api.get(f"/v1/calls/{call['id']}") for call in listed]


def all_leads(api: ApiClient, campaigns: Iterable[str]) -> list[Json]:
    """Every lead of these campaigns, in the order of import."""
    return [lead for name in campaigns for lead in api.pages(f"/v1/campaigns/{name}/leads")]


def reported_attempt(call: Json) -> ReportedAttempt:
    """A call as the check reads it."""
    outcome = call["outcome"]
    if call["facts"].get("callback_at") and outcome not in _GRAVER:
        outcome = "callback"
    return ReportedAttempt(
        attempt_id=call["attempt_id"],
        lead_id=call["lead_id"],
        outcome=outcome,
        spent=call["spent"],
        answered=bool(call["answered_at"]),
    )


def reported_lead(lead: Json) -> ReportedLead:
    """A lead as the check reads it."""
    return ReportedLead(
        lead_id=lead["id"],
        name=lead["external_id"] or lead["id"],
        state=lead["state"],
        outcome=lead["outcome"],
        scheduled_by=lead["scheduled_by"],
        next_attempt_at=lead["next_attempt_at"],
        live_attempt_id=lead["live_attempt_id"],
    )


def save_recordings(api: ApiClient, calls: Sequence[Json], names: Sequence[str], to: Path) -> int:
    """Download the recording of every answered call; how many there are.

    A recording is ready some moments after its call: wait for it, within reason.
    """
    to.mkdir(parents=True, exist_ok=True)
    missing = {
        call["id"]: to / f"{name}.wav"
        for call, name in zip(calls, names, strict=True)
        if call["answered_at"]
    }
    answered = len(missing)
    deadline = time.monotonic() + _RECORDING_PATIENCE
    while missing:
        for call_id, file in list(missing.items()):
            with suppress(CommandFailedError):
                api.download(f"/v1/calls/{call_id}/recording", file)
                del missing[call_id]
        if time.monotonic() > deadline:
            break
        if missing:
            time.sleep(0.5)
    return answered - len(missing)


def save_transcripts(calls: Sequence[Json], names: Sequence[str], to: Path) -> int:
    """Write what was said in every answered call; how many there are."""
    to.mkdir(parents=True, exist_ok=True)
    written = 0
    for call, name in zip(calls, names, strict=True):
        if call["answered_at"]:
            (to / f"{name}.txt").write_text(transcript_of(call), encoding="utf-8")
            written += 1
    return written


def transcript_of(call: Json) -> str:
    """A call as one reads it: what was said, and what the agent did."""
    lines = [f"{call['to_number']}  outcome: {call['outcome']}", ""]
    said = [(turn["started_at"] or "", f"{turn['role']}: {turn['text']}{_cut(turn)}")
            for turn in call["transcript"]]  # fmt: skip
    done = [(tool["called_at"], f"    [{tool['name']} {tool['arguments']}]")
            for tool in call["tools"]]  # fmt: skip
    lines += [line for _, line in sorted(said + done, key=lambda item: item[0])]
    return "\n".join(lines) + "\n"


def file_names(calls: Sequence[Json], leads: Sequence[Json]) -> list[str]:
    """A name for each call's files: the lead's, the number, the try: `A-024_16155550100_2`."""
    external: dict[str, str] = {lead["id"]: lead["external_id"] or lead["id"] for lead in leads}
    tries: dict[str, int] = {}
    names = []
    for call in calls:
        lead = external.get(call["lead_id"]) or str(call["id"])
        tries[lead] = tries.get(lead, 0) + 1
        names.append(f"{lead}_{call['to_number'].lstrip('+')}_{tries[lead]}")
    return names


def _cut(turn: Json) -> str:
    return " [interrupted]" if turn["interrupted"] else ""
