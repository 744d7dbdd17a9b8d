"""Campaigns and their levers, leads, results."""

import asyncio
import csv
import io
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text, update

from outdial.operations.finish_canceled_leads import finish_canceled_leads
from outdial.operations.runtime import Runtime
from outdial.storage.tables import CampaignZones

pytestmark = pytest.mark.integration

LEADS = {
    "leads": [
        {
            "external_id": f"E-{number}",
            "phone": f"+1212555{number:04}",
            "name": "Ann",
            "variables": {"clinic": "Lakeside"},
        }
        for number in range(100, 105)
    ]
}


async def import_leads(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await api.post("/v1/campaigns/autumn/leads", json=LEADS)
    assert answer.json()["created"] == len(LEADS["leads"]), answer.text
    listed = await api.get("/v1/campaigns/autumn/leads")
    items: list[dict[str, Any]] = listed.json()["items"]
    return items


async def test_a_campaign_is_found_by_name_and_id(api: httpx.AsyncClient, campaign: str) -> None:
    by_name = (await api.get("/v1/campaigns/autumn")).json()
    by_id = (await api.get(f"/v1/campaigns/{by_name['id']}")).json()
    assert by_id == by_name
    assert (by_name["template"], by_name["template_version"]) == ("visit", 1)
    assert by_name["status"] == "draft"


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("autum", "There is no campaign autum. Did you mean autumn?"),
        ("invoices", "There is no campaign invoices."),
    ],
)
async def test_a_name_that_is_nearly_right_is_put_right(
    api: httpx.AsyncClient, campaign: str, asked: str, answer: str
) -> None:
    found = await api.get(f"/v1/campaigns/{asked}")
    assert (found.status_code, found.json()["detail"]) == (404, answer)


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"template": "none"}, 404, None),
        ({"name": ""}, 422, "name"),
        ({"name": "_calls:x"}, 422, "name"),
        ({"name": "a/b"}, 422, "name"),
        ({"name": str(uuid.uuid4())}, 422, "name"),
        ({"name": "x\0y"}, 422, "name"),
        ({"name": "autumn"}, 409, None),
        ({"caller_numbers": ["12"]}, 422, "caller_numbers.0"),
        ({"max_live_calls": 0}, 422, "max_live_calls"),
        ({"hours": {"weekdays": {"mon": ["25:00-26:00"]}}}, 422, "hours.weekdays.mon.0"),
        ({"hours": {"days": {}}}, 422, "hours.days"),
        ({"nme": "x"}, 422, "nme"),
    ],
)
async def test_campaigns_that_do_not_hold(
    api: httpx.AsyncClient, campaign: str, change: dict[str, Any], status: int, field: str | None
) -> None:
    answer = await api.post("/v1/campaigns", json={"name": "new", "template": "visit", **change})
    assert answer.status_code == status, answer.text
    if field:
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_the_levers(api: httpx.AsyncClient, campaign: str) -> None:
    async def pull(lever: str) -> tuple[int, str]:
        answer = await api.post(f"/v1/campaigns/autumn/{lever}")
        return answer.status_code, answer.json().get("status", "")

    assert (await pull("pause"))[0] == 409
    assert (await pull("resume"))[0] == 409
    assert await pull("start") == (200, "running")
    assert await pull("start") == (200, "running")
    assert await pull("pause") == (200, "paused")
    assert await pull("pause") == (200, "paused")
    assert (await pull("start"))[0] == 409
    assert await pull("resume") == (200, "running")
    assert await pull("cancel") == (200, "canceled")
    assert await pull("cancel") == (200, "canceled")
    for lever in ("start", "pause", "resume"):
        assert (await pull(lever))[0] == 409


async def test_without_a_number_nothing_starts(
    api: httpx.AsyncClient, campaign: str, stores: Runtime
) -> None:
    async with stores.sessions.begin() as session:
        await session.execute(text("DELETE FROM numbers"))
    answer = await api.post("/v1/campaigns/autumn/start")
    assert answer.status_code == 409
    assert "number to call from" in answer.json()["detail"]


async def test_changes(api: httpx.AsyncClient, campaign: str) -> None:
    hours = {"weekdays": {"mon": ["09:00-17:00"]}}
    changed = await api.patch(
        "/v1/campaigns/autumn",
        json={"name": "winter", "max_live_calls": 3, "hours": hours, "caller_numbers": None},
    )
    assert changed.status_code == 200, changed.text
    found = (await api.get("/v1/campaigns/winter")).json()
    assert found["max_live_calls"] == 3
    assert found["hours"]["weekdays"] == hours["weekdays"]
    assert (await api.get("/v1/campaigns/autumn")).status_code == 404
    cleared = (await api.patch("/v1/campaigns/winter", json={"hours": None})).json()
    assert cleared["hours"] is None
    assert cleared["max_live_calls"] == 3


async def test_canceling_finishes_what_waits(
    api: httpx.AsyncClient, campaign: str, stores: Runtime
) -> None:
    await import_leads(api)
    found = (await api.post("/v1/campaigns/autumn/cancel?live=hangup")).json()
    assert found["leads"]["outcomes"] == {"canceled": 5}
    assert found["leads"]["states"]["finished"] == 5


async def test_a_cancel_that_died_half_way_is_mended(
    api: httpx.AsyncClient, campaign: str, stores: Runtime
) -> None:
    await import_leads(api)
    async with stores.sessions.begin() as session:
        await session.execute(text("UPDATE campaigns SET status = 'canceled'"))
    assert await finish_canceled_leads(stores) == 5
    assert await finish_canceled_leads(stores) == 0
    found = (await api.get("/v1/campaigns/autumn")).json()
    assert found["leads"]["outcomes"] == {"canceled": 5}


async def test_pages_hold_everything_once(api: httpx.AsyncClient, campaign: str) -> None:
    await import_leads(api)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(5):
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await api.get("/v1/campaigns/autumn/leads", params=params)).json()
        seen += [lead["external_id"] for lead in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"E-{number}" for number in range(100, 105)]


async def test_leads_one_by_one(api: httpx.AsyncClient, campaign: str) -> None:
    first, second, *_ = await import_leads(api)
    path = f"/v1/leads/{first['id']}"

    held = (await api.patch(path, json={"held": True})).json()
    assert held["held_at"] is not None
    late = {"not_before": "2030-01-01T00:00:00Z", "variables": {"room": 7}}
    changed = (await api.patch(path, json=late)).json()
    assert changed["next_attempt_at"].startswith("2030-01-01")
    assert changed["variables"] == {"clinic": "Lakeside", "room": 7}
    assert changed["held_at"] is not None
    for bad, field in [
        ({"variables": {"clinic": None}}, "variables.clinic"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"not_before": "2030-01-01T00:00:00"}, "not_before"),
        ({"variables": {"a": {"b": 1}}}, None),
        ({"state": "finished"}, "state"),
    ]:
        refused = await api.patch(path, json=bad)
        assert refused.status_code == 422, refused.text
        if field:
            assert refused.json()["errors"][0]["field"] == field

    now = (await api.post(f"{path}/dial-now")).json()
    assert now["held_at"] is None
    assert now["scheduled_by"] == "operator"
    assert now["next_attempt_at"].startswith("2030-01-01"), "it bypasses no gate"

    canceled = (await api.post(f"/v1/leads/{second['id']}/cancel")).json()
    assert (canceled["state"], canceled["outcome"]) == ("finished", "canceled")
    assert (await api.post(f"/v1/leads/{second['id']}/cancel")).status_code == 200
    assert (await api.post(f"/v1/leads/{second['id']}/dial-now")).status_code == 409
    assert (await api.patch(f"/v1/leads/{second['id']}", json={"held": True})).status_code == 409
    assert (await api.get(f"/v1/leads/{uuid.uuid4()}")).status_code == 404
    waiting = (await api.get("/v1/campaigns/autumn/leads?state=finished")).json()["items"]
    assert [lead["id"] for lead in waiting] == [second["id"]]


async def test_results_as_csv(api: httpx.AsyncClient, campaign: str, stores: Runtime) -> None:
    leads = await import_leads(api)
    async with stores.sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE leads SET state='finished', outcome='completed', next_attempt_at=NULL, "
                """result='{"note": "=HYPERLINK(1)", "n": 3}' WHERE id = :id"""
            ),
            {"id": leads[0]["id"]},
        )
    answer = await api.get("/v1/campaigns/autumn/results.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["external_id"] for row in rows] == [f"E-{number}" for number in range(100, 105)]
    assert rows[0]["outcome"] == "completed"
    assert rows[0]["phone"] == "+12125550100"
    assert rows[1]["state"] == "backlog"
    assert rows[0]["why"] == ""
    assert rows[1]["why"] == "Not called: its campaign is draft."


async def test_the_export_says_why_as_the_lead_itself_does(
    api: httpx.AsyncClient, campaign: str, stores: Runtime
) -> None:
    leads = await import_leads(api)
    assert (await api.post("/v1/campaigns/autumn/start")).status_code == 200

    async def told() -> set[str]:
        answer = await api.get("/v1/campaigns/autumn/results.csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        for row in rows:
            lead = (await api.get(f"/v1/leads/{row['lead_id']}")).json()
            assert (row["why"], row["refusal"]) == (lead["why"], lead["refusal"] or "")
        assert len(rows) == len(leads)
        return {row["why"] for row in rows}

    assert await told() == {"It is due, and waits for its turn: no media pod has room."}
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    async with stores.sessions.begin() as session:
        await session.execute(update(CampaignZones).values(opens_at=tomorrow))
    (night,) = await told()
    assert night.startswith("Not called: it is outside the hours")
    assert (await api.post("/v1/campaigns/autumn/pause")).status_code == 200
    assert await told() == {"Not called: its campaign is paused."}


async def test_a_formula_in_a_result_stays_text(api: httpx.AsyncClient, stores: Runtime) -> None:
    schema = {"type": "object", "properties": {"note": {"type": "string"}}}
    agent = {"name": "A", "greeting": "Hi", "prompt": "Ask."}
    body = {"slug": "plain", "agent": agent, "outcome_schema": schema}
    assert (await api.post("/v1/templates", json=body)).status_code == 201
    await api.post("/v1/campaigns", json={"name": "plain", "template": "plain"})
    await api.post("/v1/campaigns/plain/leads", json=[{"phone": "+12125550100"}])
    async with stores.sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE leads SET state='finished', outcome='completed', next_attempt_at=NULL, "
                """result='{"note": "=HYPERLINK(1)"}'"""
            )
        )
    answer = await api.get("/v1/campaigns/plain/results.csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["result.note"] == "'=HYPERLINK(1)"


async def test_two_imports_and_a_cancel_at_once_wait_for_nobody_in_a_circle(
    api: httpx.AsyncClient, campaign: str
) -> None:
    bodies = [
        "phone,name,clinic\n" + "".join(f"+1{area}555{n:04},A,L\n" for n in range(100, 200))
        for area in (212, 303, 312)
    ]
    answers = await asyncio.gather(
        *(
            api.post(
                "/v1/campaigns/autumn/leads", content=body, headers={"Content-Type": "text/csv"}
            )
            for body in bodies
        ),
        api.post("/v1/campaigns/autumn/cancel"),
    )
    assert {answer.status_code for answer in answers} <= {200, 409}
    final = (await api.post("/v1/campaigns/autumn/cancel")).json()
    assert final["leads"]["states"]["backlog"] == 0
