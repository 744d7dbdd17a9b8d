"""The dry run, do-not-call lists, numbers set aside, and why a lead was not called."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from gateway_client import client_of
from outdial.operations.runtime import Runtime
from outdial.storage import leads, numbers
from outdial.storage.ids import new_id

pytestmark = pytest.mark.integration

Json = dict[str, Any]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@pytest.fixture
async def rules(api: httpx.AsyncClient) -> str:
    """A template without variables, so that leads are only numbers."""
    agent = {"name": "Ada", "greeting": "Hello.", "prompt": "Ask."}
    body = {"slug": "plain", "agent": agent}
    assert (await api.post("/v1/templates", json=body)).status_code == 201
    assert (
        await api.post("/v1/campaigns", json={"name": "spring", "template": "plain"})
    ).status_code == 201
    return "spring"


async def fill(api: httpx.AsyncClient, campaign: str, csv: str) -> Json:
    answer = await api.post(
        f"/v1/campaigns/{campaign}/leads", content=csv, headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 200, answer.text
    done: Json = answer.json()
    assert done["refused"] == 0, done
    return done


async def check(api: httpx.AsyncClient, campaign: str = "spring") -> Json:
    answer = await api.post(f"/v1/campaigns/{campaign}/check")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def test_an_empty_campaign(api: httpx.AsyncClient, rules: str) -> None:
    found = await check(api)
    assert (found["waiting"], found["reasons"], found["fits"]) == (0, [], True)
    assert any("No hours are set" in warning for warning in found["warnings"])
    assert any("No media pod" in warning for warning in found["warnings"])


async def test_everybody_is_counted_with_the_reason(
    api: httpx.AsyncClient, stores: Runtime, rules: str
) -> None:
    rows = ["phone,timezone,not_before"]
    rows += [f"+1212555{n:04}," for n in range(1000, 1010)]
    rows += ["+12125551100,,2099-01-01T00:00:00+00:00", "+12125551101,", "+12125551102,"]
    await fill(api, rules, "\n".join(rows))
    await api.post("/v1/suppressions", json={"phone": "+12125551101"})
    page = (await api.get(f"/v1/campaigns/{rules}/leads")).json()["items"]
    held = next(lead for lead in page if lead["contacts"][0]["phone"] == "+12125551102")
    await api.patch(f"/v1/leads/{held['id']}", json={"held": True})

    found = await check(api)
    assert found["waiting"] == 13
    assert (found["callable_now"], found["callable_later"], found["not_callable"]) == (10, 1, 2)
    reasons = {one["reason"]: one["count"] for one in found["reasons"]}
    assert reasons == {"not_yet": 1, "suppressed": 1, "held": 1}
    assert "13 leads wait: 10 can be called now, 1 later, 2 not as things stand." in found["text"]
    assert "  1 suppressed" in found["text"]
    # Nothing was changed by looking.
    again = (await api.get(f"/v1/campaigns/{rules}")).json()
    assert again["status"] == "draft"
    assert again["refusals"] == {}


async def test_hours_are_told_on_the_wall_of_those_who_wait(
    api: httpx.AsyncClient, rules: str
) -> None:
    await fill(api, rules, "phone,timezone\n+13035550100,America/Denver\n+13035550101,\n")
    closed = {"closed_dates": [], "weekdays": {"mon": []}}
    await api.patch(f"/v1/campaigns/{rules}", json={"hours": closed})
    found = await check(api)
    assert {one["reason"]: one["count"] for one in found["reasons"]} == {"never_open": 2}

    morning = datetime.now(ZoneInfo("America/Denver")).hour < 12
    window = "20:00-21:00" if morning else "06:00-07:00"  # the one that is not open now
    open_later = {"weekdays": {day: [window] for day in DAYS}}
    await api.patch(f"/v1/campaigns/{rules}", json={"hours": open_later})
    found = await check(api)
    assert (found["callable_now"], found["callable_later"]) == (0, 2)
    (reason,) = found["reasons"]
    assert (reason["reason"], reason["count"], reason["zone"]) == (
        "outside_hours",
        2,
        "America/Denver",
    )
    assert reason["text"].startswith("2 outside hours until ")
    assert reason["text"].endswith(f"{window[:5]} Denver")


async def test_a_suppressed_first_contact_leaves_the_second(
    api: httpx.AsyncClient, rules: str
) -> None:
    await fill(api, rules, "phone,phone_2\n+12125551200,+12125551201\n")
    await api.post("/v1/suppressions", json={"phone": "+12125551200"})
    assert (await check(api))["callable_now"] == 1
    await api.post("/v1/suppressions", json={"phone": "+12125551201"})
    assert (await check(api))["not_callable"] == 1


async def test_a_window_too_short_for_the_batch_is_told(api: httpx.AsyncClient, rules: str) -> None:
    rows = [f"+1212555{n:04},UTC" for n in range(2000, 2400)]
    await fill(api, rules, "phone,timezone\n" + "\n".join(rows))
    now = datetime.now(UTC)
    start = (now + timedelta(hours=2)).replace(minute=0)
    window = f"{start:%H:%M}-{start:%H}:05"  # five minutes, at one call a second: 300
    await api.patch(
        f"/v1/campaigns/{rules}", json={"hours": {"weekdays": {day: [window] for day in DAYS}}}
    )
    found = await check(api)
    assert found["pace"]["calls_per_second"] == 1.0
    assert "OUTDIAL_CALLS_PER_SECOND" in found["pace"]["limited_by"]
    assert (found["fits"], found["too_late"]) == (False, 100)
    assert any(line.startswith("The window is too short: 100 of 400") for line in found["text"])


async def test_a_narrow_campaign_is_limited_by_its_own_calls(
    api: httpx.AsyncClient, rules: str
) -> None:
    await fill(api, rules, "phone\n+12125551300\n")
    await api.patch(f"/v1/campaigns/{rules}", json={"max_live_calls": 3})
    pace = (await check(api))["pace"]
    assert pace["calls_per_second"] == pytest.approx(3 / 60)
    assert (pace["limited_by"], pace["measured_calls"]) == ("the campaign's live calls", 0)


async def test_many_leads_over_several_pages(
    api: httpx.AsyncClient, stores: Runtime, rules: str
) -> None:
    rows = [f"+1212{n // 10000 + 555}{n % 10000:04}" for n in range(2500)]
    await fill(api, rules, "phone\n" + "\n".join(rows))
    assert (await check(api))["callable_now"] == 2500


async def test_unknown_campaigns_and_strangers(
    app: FastAPI, api: httpx.AsyncClient, stores: Runtime, rules: str
) -> None:
    assert (await api.post("/v1/campaigns/nowhere/check")).status_code == 404
    async with await client_of(app, stores, "viewer") as viewer:
        assert (await viewer.post(f"/v1/campaigns/{rules}/check")).status_code == 200
        refused = await viewer.post("/v1/suppressions/import", content="phone\n+12125551300\n")
        assert refused.status_code == 403


CSV = {"Content-Type": "text/csv"}


async def test_a_do_not_call_list(api: httpx.AsyncClient, rules: str) -> None:
    body = "Phone Number;Reason\n+12125551400;by letter\n+1 (212) 555-1401;\nnonsense;x\n"
    answer = await api.post("/v1/suppressions/import", content=body, headers=CSV)
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert (done["added"], done["known"], done["refused"]) == (2, 0, 1)
    assert done["problems"][0]["row"] == 4
    kept = (await api.get("/v1/suppressions/+12125551400")).json()
    assert (kept["reason"], kept["source"]) == ("by letter", "import")
    other = (await api.get("/v1/suppressions/+12125551401")).json()
    assert other["reason"] == "imported"
    again = (await api.post("/v1/suppressions/import", content=body, headers=CSV)).json()
    assert (again["added"], again["known"]) == (0, 2)


async def test_a_long_list_acts_on_queued_calls(
    api: httpx.AsyncClient, stores: Runtime, rules: str
) -> None:
    await fill(api, rules, "phone\n+12125551500\n")
    attempt_id = new_id()
    async with stores.sessions.begin() as session:
        await session.execute(
            text(
                "INSERT INTO attempts (id, lead_id, contact_id, campaign_id, template_id, phone, "
                "caller_number) SELECT :id, l.id, c.id, l.campaign_id, l.template_id, c.phone, "
                "'+15005550006' FROM leads l JOIN contacts c ON c.lead_id = l.id"
            ),
            {"id": attempt_id},
        )
        lead_id = (await session.execute(text("SELECT id FROM leads"))).scalar_one()
        await leads.activate(session, lead_id, attempt_id)
    rows = "\n".join(f"+1212555{n:04}" for n in range(1000, 2200))
    answer = await api.post("/v1/suppressions/import", content=f"phone\n{rows}\n", headers=CSV)
    done = answer.json()
    assert (done["added"], done["stopped_calls"]) == (1200, 1)
    async with stores.sessions() as session:
        reason = (await session.execute(text("SELECT stop_reason FROM attempts"))).scalar_one()
    assert reason == "opted_out"


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [("name\nx\n", CSV, 422), ("", CSV, 422), ("phone\n", {"Content-Type": "text/plain"}, 415)],
)
async def test_lists_that_are_none(
    api: httpx.AsyncClient, content: str, headers: dict[str, str], status: int
) -> None:
    answer = await api.post("/v1/suppressions/import", content=content, headers=headers)
    assert answer.status_code == status, answer.text


async def test_a_number_set_aside_is_reported_and_restored(
    app: FastAPI, api: httpx.AsyncClient, stores: Runtime
) -> None:
    phone = "+12125550191"
    assert (await api.post("/v1/numbers", json={"phone": phone})).status_code == 201
    async with stores.sessions.begin() as session:
        await numbers.set_aside(session, phone, "the carrier refused a call from it with 21210")
    listed = {one["phone"]: one for one in (await api.get("/v1/numbers")).json()["items"]}
    assert listed[phone]["status"] == "set_aside"
    assert "21210" in listed[phone]["set_aside_reason"]
    assert listed[phone]["set_aside_at"]
    async with await client_of(app, stores, "viewer") as viewer:
        assert (await viewer.post(f"/v1/numbers/{phone}/restore")).status_code == 403
    restored = (await api.post(f"/v1/numbers/{phone}/restore")).json()
    assert (restored["status"], restored["set_aside_reason"]) == ("active", None)
    assert (await api.post("/v1/numbers/+12125550192/restore")).status_code == 404


async def test_why_a_lead_was_not_called(
    api: httpx.AsyncClient, stores: Runtime, rules: str
) -> None:
    done = await fill(api, rules, "phone\n+12125551600\n")
    lead_id = done["results"][0]["lead_id"]

    async def why() -> str:
        return str((await api.get(f"/v1/leads/{lead_id}")).json()["why"])

    assert await why() == "Not called: its campaign is draft."
    await api.post(f"/v1/campaigns/{rules}/start")
    assert await why() == "It is due, and waits for its turn: no media pod has room."
    async with stores.sessions.begin() as session:
        again = datetime(2099, 1, 5, 14, tzinfo=UTC)
        await session.execute(
            text("UPDATE leads SET refusal = 'outside_hours', next_attempt_at = :at"),
            {"at": again},
        )
    assert await why() == (
        "Not called: it is outside the hours in which the person may be called. "
        "Again at Monday 5 January, 09:00 New York."
    )
    await api.patch(f"/v1/leads/{lead_id}", json={"held": True})
    assert await why() == "Not called: an operator holds it back."
    listed = (await api.get(f"/v1/campaigns/{rules}/leads")).json()["items"]
    assert listed[0]["why"] == await why()


async def test_hours_may_name_jurisdictions_and_holidays(
    api: httpx.AsyncClient, rules: str
) -> None:
    path = f"/v1/campaigns/{rules}"
    hours = {"jurisdictions": ["us-federal", "us-fl"], "holidays": ["us-federal"]}
    answer = await api.patch(path, json={"hours": hours})
    assert answer.status_code == 200
    assert answer.json()["hours"]["jurisdictions"] == ["us-federal", "us-fl"]
    refused = await api.patch(path, json={"hours": {"jurisdictions": ["us-tx"]}})
    assert refused.status_code == 422
    assert "us-federal" in refused.text
