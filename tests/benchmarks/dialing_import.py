"""Import of leads from CSV through a real gateway, beside COPY of the same rows as they ended up.

COPY loads what the import had written, from files that are ready, into the same emptied tables with
the same indexes and constraints: what Postgres itself takes for these rows.
"""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from bench_stores import Stores, gateway, open_stores
from lead_file import write_lead_file
from outdial.domain.call_template import Agent, CallTemplate
from outdial.operations.api_keys import create_api_key
from outdial.operations.create_template import create_template
from outdial.operations.runtime import open_runtime

LEADS = int(os.environ.get("OUTDIAL_BENCH_LEADS", "1000000"))
FIRST_SHARE = 10
"""A tenth is imported first: what the rest adds to the gateway's memory is counted from there."""

MOST_TIMES_COPY = 3.0
MOST_GROWTH_MB = 30.0
COPIES = 2

_COLUMNS = {
    "leads": "id, campaign_id, template_id, external_id, branch_key, variables, next_attempt_at, "
    "not_before, expires_at, caller_number",
    "contacts": "id, lead_id, position, phone, name, timezone",
}


async def measure_import() -> dict[str, Any]:
    """Every figure of the import."""
    async with open_stores("import", durable=True) as stores:
        bad = write_lead_file(stores.base / "leads.csv", LEADS)
        write_lead_file(stores.base / "first.csv", LEADS // FIRST_SHARE, seed=1)
        imported = await _import(stores)
        copied = await asyncio.to_thread(_copy_again, stores)
    return {
        "leads": LEADS,
        "rows_that_are_no_number": bad,
        "csv_mb": imported.pop("csv_mb"),
        **imported,
        **copied,
        "times_copy": round(imported["seconds"] / copied["copy_seconds"], 2),
        "target_times_copy": MOST_TIMES_COPY,
        "target_rss_growth_mb": MOST_GROWTH_MB,
    }


async def _import(stores: Stores) -> dict[str, Any]:
    async with open_runtime(stores.settings) as runtime:
        secret = (await create_api_key(runtime.sessions, "bench", "admin")).secret
        agent = Agent("Ada", "Hello {{name}}.", "Ask whether {{appointment}} at {{clinic}} holds.")
        await create_template(runtime, CallTemplate("bench", agent))
    async with gateway(stores) as (url, pid):
        return await asyncio.to_thread(_upload_both, stores, url, secret, pid)


def _upload_both(stores: Stores, url: str, secret: str, pid: int) -> dict[str, Any]:
    with httpx.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {secret}"},
        timeout=1800,
        trust_env=False,
    ) as api:
        first = _upload(api, "first", stores.base / "first.csv")
        resident = _resident_mb(pid)
        with _most_resident_mb(pid) as most:
            cpu = _cpu_seconds(pid)
            began = time.perf_counter()
            done = _upload(api, "all", stores.base / "leads.csv")
            seconds = time.perf_counter() - began
            cpu = _cpu_seconds(pid) - cpu
    return {
        "csv_mb": round((stores.base / "leads.csv").stat().st_size / 1e6, 1),
        "created": done["created"],
        "refused": done["refused"],
        "seconds": round(seconds, 2),
        "leads_per_second": round(done["created"] / seconds),
        "us_per_lead": round(seconds * 1e6 / LEADS, 1),
        "gateway_cpu_us_per_lead": round(cpu * 1e6 / LEADS, 1),
        "rss_mb_after_a_tenth": round(resident, 1),
        "rss_mb_most": round(max(most), 1),
        "rss_growth_mb": round(max(most) - resident, 1),
        "first": first["created"],
    }


def _upload(api: httpx.Client, campaign: str, file: Path) -> dict[str, Any]:
    """As `outdial campaign import` does."""
    body = {"name": campaign, "template": "bench"}
    api.post("/v1/campaigns", json=body).raise_for_status()
    with file.open("rb") as opened:
        answer = api.post(
            f"/v1/campaigns/{campaign}/leads?results=refused",
            content=iter(lambda: opened.read(1 << 16), b""),
            headers={"Content-Type": "text/csv", "Idempotency-Key": f"bench {campaign}"},
        )
    answer.raise_for_status()
    done: dict[str, Any] = answer.json()
    return done


def _copy_again(stores: Stores) -> dict[str, Any]:
    """Take the rows of the import out, and load them again with nothing but COPY."""
    seconds = []
    with psycopg.connect(stores.postgres.url(), autocommit=True) as connection:
        rows = _count(connection)
        connection.execute(
            "DELETE FROM leads USING campaigns c WHERE c.id = campaign_id AND c.name = 'first'"
        )
        for table, columns in _COLUMNS.items():
            with (stores.base / table).open("wb") as file:
                query = f"COPY (SELECT {columns} FROM {table} ORDER BY id) TO STDOUT"
                with connection.cursor().copy(query.encode()) as copy:
                    for block in copy:
                        file.write(block)
        for _ in range(COPIES):
            connection.execute("TRUNCATE leads, contacts, attempts CASCADE")
            connection.execute("CHECKPOINT")
            began = time.perf_counter()
            with connection.transaction():
                for table, columns in _COLUMNS.items():
                    _load(connection, table, columns, stores.base / table)
            seconds.append(time.perf_counter() - began)
        loaded = _count(connection)
    mean = sum(seconds) / len(seconds)
    return {
        "rows_written": rows,
        "rows_copied": loaded,
        "copy_seconds": round(mean, 2),
        "copy_runs": [round(one, 2) for one in seconds],
        "copy_us_per_lead": round(mean * 1e6 / LEADS, 1),
    }


def _load(connection: psycopg.Connection[Any], table: str, columns: str, file: Path) -> None:
    with (
        file.open("rb") as opened,
        connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy,
    ):
        while block := opened.read(1 << 18):
            copy.write(block)


def _count(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM leads").fetchone()
    return int(row[0]) if row else 0


@contextmanager
def _most_resident_mb(pid: int) -> Iterator[list[float]]:
    """Looks at a process's memory ten times a second."""
    seen = [_resident_mb(pid)]
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            seen.append(_resident_mb(pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
