"""Compare what Outdial says with the truth: mismatches, double dials, lost leads (PROTOCOL 13)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from outdial_cli.demo.truth import Dial, overlapping


@dataclass(frozen=True)
class ReportedAttempt:
    """An attempt as the API tells it. `outcome` is "callback" when a time was asked for."""

    attempt_id: str
    lead_id: str
    outcome: str | None
    spent: bool | None
    answered: bool = False


@dataclass(frozen=True)
class ReportedLead:
    """A lead as the API tells it."""

    lead_id: str
    name: str
    state: str
    outcome: str | None
    scheduled_by: str | None
    next_attempt_at: str | None
    live_attempt_id: str | None

    @property
    def finished(self) -> bool:
        """Whether it is done with."""
        return self.state == "finished"

    @property
    def scheduled(self) -> bool:
        """Whether it waits because the person asked for later."""
        return self.state == "retry" and self.scheduled_by == "person"


@dataclass
class Verdict:
    """What does not fit; all empty when everything does."""

    mismatches: list[dict[str, str | None]] = field(default_factory=list)
    double_dials: int = 0
    lost_leads: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether everything fits."""
        return not (self.mismatches or self.double_dials or self.lost_leads)


def check(
    found: Sequence[Dial], leads: Sequence[ReportedLead], attempts: Sequence[ReportedAttempt]
) -> Verdict:
    """Compare the ledger's dials with the leads and attempts that Outdial reports."""
    by_id = {attempt.attempt_id: attempt for attempt in attempts}
    by_lead: dict[str, list[Dial]] = {lead.lead_id: [] for lead in leads}
    for dial in found:
        if dial.attempt_id in by_id:
            by_lead.setdefault(by_id[dial.attempt_id].lead_id, []).append(dial)
    return Verdict(
        mismatches=[*_attempts_that_differ(found, by_id), *_leads_that_differ(leads, by_lead)],
        double_dials=_double_dials(found, attempts, by_lead),
        lost_leads=sum(_is_lost(lead, by_lead[lead.lead_id]) for lead in leads),
    )


def _attempts_that_differ(
    found: Sequence[Dial], by_id: Mapping[str, ReportedAttempt]
) -> list[dict[str, str | None]]:
    differing = []
    for dial in found:
        reported = by_id.get(dial.attempt_id)
        said = reported.outcome if reported else "unknown to Outdial"
        if said != dial.outcome:
            differing.append(
                {
                    "attempt": dial.attempt_id,
                    "number": dial.number,
                    "call_sid": dial.call_sid,
                    "truth": dial.outcome,
                    "outdial": said,
                }
            )
    return differing


def _leads_that_differ(
    leads: Sequence[ReportedLead], by_lead: Mapping[str, Sequence[Dial]]
) -> list[dict[str, str | None]]:
    """A lead's word is that of its last call; one whose person asked for later waits for it."""
    differing: list[dict[str, str | None]] = []
    for lead in leads:
        calls = by_lead[lead.lead_id]
        if not calls:
            continue
        truth = calls[-1].outcome
        said = "callback" if lead.scheduled else lead.outcome
        if (lead.finished or lead.scheduled) and said != truth:
            differing.append({"lead": lead.name, "truth": truth, "outdial": said})
    return differing


def _double_dials(
    found: Sequence[Dial],
    attempts: Sequence[ReportedAttempt],
    by_lead: Mapping[str, Sequence[Dial]],
) -> int:
    named = Counter(dial.attempt_id for dial in found if dial.attempt_id)
    repeated = sum(times - 1 for times in named.values())
    spent = Counter(attempt.lead_id for attempt in attempts if attempt.spent is not False)
    beyond = sum(max(0, len(calls) - spent[lead]) for lead, calls in by_lead.items())
    return repeated + len(overlapping(found)) + beyond


def _is_lost(lead: ReportedLead, calls: Sequence[Dial]) -> bool:
    """Unfinished with nothing to come, or finished without anybody having been called."""
    if lead.finished:
        return not calls
    return lead.live_attempt_id is None and lead.next_attempt_at is None
