"""`summary.json`: the demo in numbers."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from outdial_cli.demo.check import ReportedLead, Verdict
from outdial_cli.demo.truth import Json


def percentiles(values: Sequence[float]) -> dict[str, int | None]:
    """p50 and p95, the nearest rank; None without values."""
    ranked = sorted(values)

    def rank(percent: int) -> int | None:
        if not ranked:
            return None
        return round(ranked[max(0, -(-len(ranked) * percent // 100) - 1)])

    return {"p50": rank(50), "p95": rank(95)}


def summary_of(
    leads: Sequence[ReportedLead],
    attempts: int,
    verdict: Verdict,
    ledger: Json,
    files: tuple[int, int],
    seconds: float,
) -> dict[str, Any]:
    """Everything that the demo has to show; `files` are how many recordings and transcripts."""
    calls = ledger["calls"]
    first = [c["first_bot_audio_ms"] for c in calls if c.get("first_bot_audio_ms") is not None]
    turns = [ms for call in calls for ms in call.get("voice_to_voice_ms") or ()]
    return {
        "leads": len(leads),
        "finished": sum(lead.finished for lead in leads),
        "scheduled": sum(lead.scheduled for lead in leads),
        "attempts": attempts,
        "outcomes": dict(Counter(lead.outcome for lead in leads if lead.outcome).most_common()),
        "mismatches": verdict.mismatches,
        "double_dials": verdict.double_dials,
        "lost_leads": verdict.lost_leads,
        "recordings": files[0],
        "transcripts": files[1],
        "answer_to_first_audio_ms": percentiles(first),
        "voice_to_voice_ms": percentiles(turns),
        "seconds": round(seconds, 1),
    }


def write_json(file: Path, content: Any) -> None:
    """Write it for machines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
