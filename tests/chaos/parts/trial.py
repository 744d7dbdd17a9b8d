"""One trial: a campaign under chaos, and the verdict."""

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from outdial_cli.api_client import ApiClient
from parts import workload
from parts.hint_echo import HintEcho
from parts.house import House, Plan
from parts.judge import judge
from parts.killer import Killer, draw_blows

_LOOK_SECONDS = 1.0
_PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class Sizes:
    """How much of everything. Times are seconds."""

    leads: int
    kills: int
    seed: int
    every: float  # between two blows, on average
    longest_freeze: float
    patience: float  # for the whole trial
    max_retries: int = 1
    shares: dict[str, int] = field(default_factory=lambda: workload.SHARES)
    faults: dict[str, Any] = field(default_factory=lambda: workload.FAULTS)
    plan: Plan = field(default_factory=Plan)
    echo_every: float = 1.0  # hints that come again
    settling: float = 60.0  # after the chaos: everybody is back, callbacks come, sweeps look


@dataclass
class Report:
    """var/chaos/summary.json."""

    seed: int
    leads: int
    attempts: int
    kills: dict[str, int]
    stops: dict[str, int]
    gave_up: dict[str, int]
    faults: dict[str, int]
    double_dials: int
    lost_leads: int
    unsettled: int
    unfinished: int
    unknown_spent: int
    seconds: float
    posts: int
    calls: int
    outcomes: dict[str, int]
    mended: dict[str, int]
    examples: list[dict[str, str]]
    missed: list[str] = field(default_factory=list)

    def write(self, file: Path) -> None:
        """As JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


class Trial:
    """Runs in a house that has been entered."""

    def __init__(self, house: House, sizes: Sizes, say: Callable[[str], None]) -> None:
        self._house = house
        self._sizes = sizes
        self._say = say
        blows = draw_blows(
            sizes.seed, sizes.kills, every=sizes.every, longest_freeze=sizes.longest_freeze
        )
        self.killer = Killer(house, blows, say)
        self._begun = time.monotonic()
        self._last_look = self._last_progress = 0.0
        self._finished = 0

    def run(self, file: Path) -> Report:
        """Everything, from the import of the leads (`file`: where to write them) to the verdict."""
        sizes, info = self._sizes, self._house.info
        trouble = {**workload.FAST, "seed": sizes.seed, "faults": sizes.faults}
        self._sandbox("POST", "settings", json=trouble)
        workload.write_csv(file, workload.phones(sizes.leads, sizes.seed, sizes.shares))
        with ApiClient(info.api_url, info.api_key) as api:
            workload.start_campaign(api, file, sizes.max_retries)
        self._say(f"{sizes.leads} leads are waiting, dialing begins")
        self._begun = time.monotonic()
        echo = HintEcho(info.postgres, info.redis, sizes.seed)
        try:
            self._under_chaos(echo)
        finally:
            self.killer.end()
            echo.close()
        self._settle()
        return self._report(echo)

    def _under_chaos(self, echo: HintEcho) -> None:
        """Until every lead is finished, or patience is."""
        echoed = 0.0
        while self._elapsed < self._sizes.patience:
            self.killer.act(self._elapsed)
            self.killer.mend()
            stores_up = self.killer.is_up("postgres") and self.killer.is_up("redis")
            if stores_up and self._elapsed - echoed > self._sizes.echo_every:
                echoed = self._elapsed
                echo.send()
            if self._elapsed - self._last_look > _LOOK_SECONDS:
                self._look()
                if self._finished >= self._sizes.leads:
                    return
            time.sleep(0.05)

    def _look(self) -> None:
        """How far the leads are; said now and then."""
        self._last_look = self._elapsed
        if not self.killer.is_up("postgres"):
            return
        with suppress(psycopg.Error):
            states = self._counts("SELECT state, count(*) FROM leads GROUP BY 1")
            self._finished = states.get("finished", 0)
            if self._elapsed - self._last_progress < _PROGRESS_SECONDS:
                return
            self._last_progress = self._elapsed
            self._say(
                f"{self._elapsed:.0f} s: {self._finished} of {self._sizes.leads} leads finished, "
                f"{states.get('active', 0)} being called, {states.get('retry', 0)} again later; "
                f"{self.killer.kills.total()} kills, {self.killer.stops.total()} freezes, "
                f"{self.killer.left} blows to come"
            )

    def _settle(self) -> None:
        """Everybody is back: what lives must end, what was told must be read."""
        self._say("chaos is over, what is left must settle")
        deadline = time.monotonic() + self._sizes.settling
        while time.monotonic() < deadline:
            with suppress(psycopg.Error, httpx.HTTPError):
                pending = self._sandbox("GET", "ledger/summary")["callbacks_pending"]
                if not pending and not self._unsettled():
                    return
            time.sleep(0.5)

    def _unsettled(self) -> int:
        """Live attempts and unread events."""
        (row,) = self._rows(
            "SELECT (SELECT count(*) FROM attempts WHERE state <> 'ended') AS live, "
            "(SELECT count(*) FROM unsettled) AS unread"
        )
        return int(row["live"] + row["unread"])

    def _report(self, echo: HintEcho) -> Report:
        self._say("reading the carrier's ledger ...")
        ledger = self._sandbox("GET", "ledger")
        leads = self._rows("SELECT l.*, c.phone FROM leads l JOIN contacts c ON c.lead_id = l.id")
        attempts = self._rows("SELECT * FROM attempts")
        verdict = judge(leads, attempts, ledger, self._sizes.max_retries)
        report = Report(
            seed=self._sizes.seed,
            leads=len(leads),
            attempts=len(attempts),
            kills=dict(self.killer.kills),
            stops=dict(self.killer.stops),
            gave_up=dict(self.killer.gave_up),
            faults={**ledger["faults"], "hint_repeated": echo.sent},
            double_dials=len(verdict.double_dials),
            lost_leads=len(verdict.lost_leads),
            unsettled=self._unsettled(),
            unfinished=sum(1 for lead in leads if lead["state"] != "finished"),
            unknown_spent=sum(1 for a in attempts if a["end_reason"] == "unknown_expired"),
            seconds=round(self._elapsed, 1),
            posts=len(ledger["posts"]),
            calls=len(ledger["calls"]),
            outcomes=dict(Counter(str(lead["outcome"]) for lead in leads).most_common()),
            mended=_mended(self._house.logs),
            examples=verdict.examples(),
        )
        checks = {
            "double_dials": report.double_dials == 0,
            "lost_leads": report.lost_leads == 0,
            "unsettled": report.unsettled == 0,
            "unfinished": report.unfinished == 0,
            "gave_up": not report.gave_up,
            "kills": self.killer.kills.total() >= self._sizes.kills,
        }
        report.missed = [name for name, holds in checks.items() if not holds]
        return report

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    def _rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(
            self._house.info.postgres, connect_timeout=3, row_factory=dict_row
        ) as database:
            return database.execute(query).fetchall()

    def _counts(self, query: str) -> dict[str, int]:
        return {str(row["state"]): int(row["count"]) for row in self._rows(query)}

    def _sandbox(self, method: str, path: str, **arguments: Any) -> Any:
        url = f"{self._house.info.carrier_url}/sandbox/{path}"
        with httpx.Client(trust_env=False, timeout=120) as client:
            answer = client.request(method, url, **arguments)
        answer.raise_for_status()
        return answer.json()


def _mended(logs: Path) -> dict[str, int]:
    """What sweeps found, by their own lines."""
    found: Counter[str] = Counter()
    for log in logs.glob("worker-*.log"):
        with log.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if '"event": "mended"' in line or '"event":"mended"' in line:
                    with suppress(ValueError, KeyError):
                        entry = json.loads(line)
                        found[entry["sweep"]] += int(entry["count"])
    return dict(found.most_common())
