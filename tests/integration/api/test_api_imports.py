"""Leads in bulk, through the door: what is good is in, what is bad is named with its row."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from outdial.operations import import_leads as importing
from outdial.operations.runtime import Runtime
from outdial_api import idempotency
from outdial_api.routes import imports

pytestmark = pytest.mark.integration

CSV = {"Content-Type": "text/csv"}
HEADER = "external_id,name,phone,clinic\n"


def line(number: int, phone: str | None = None) -> str:
    return f"E-{number},Ann,{phone or f'+1212555{number:04}'},Lakeside\n"


async def send(
    api: httpx.AsyncClient,
    body: str | bytes,
    headers: dict[str, str] | None = None,
    campaign: str = "autumn",
    **params: str,
) -> httpx.Response:
    return await api.post(
        f"/v1/campaigns/{campaign}/leads", content=body, headers=headers or CSV, params=params
    )


async def count(stores: Runtime) -> int:
    async with stores.sessions() as session:
        return await session.scalar(text("SELECT count(*) FROM leads")) or 0


async def test_row_17_is_bad_and_the_others_are_in(
    api: httpx.AsyncClient, campaign: str, stores: Runtime
) -> None:
    rows = [line(number) for number in range(100, 130)]
    rows[15] = line(115, "+1212")  # the header is row 1
    answer = await send(api, HEADER + "".join(rows))
    assert answer.status_code == 200
    result = answer.json()
    assert (result["created"], result["duplicates"], result["refused"]) == (29, 0, 1)
    bad = [item for item in result["results"] if item["status"] != "created"]
    assert [(item["row"], item["status"], item["field"]) for item in bad] == [
        (17, "refused", "phone")
    ]
    assert bad[0]["message"]
    assert [item["row"] for item in result["results"]] == list(range(2, 32))
    assert await count(stores) == 29


@pytest.mark.parametrize(
    "body",
    [
        "\ufeff" + HEADER + line(100),
        (HEADER + line(100)).replace(",", ";"),
        (HEADER + line(100)).replace(",", "\t"),
        (HEADER + line(100)).replace("phone", "Mobile Number").replace("\n", "\r\n"),
    ],
    ids=["bom", "semicolons", "tabs", "synonym"],
)
async def test_spreadsheets_of_all_kinds(api: httpx.AsyncClient, campaign: str, body: str) -> None:
    answer = await send(api, body)
    assert answer.json()["created"] == 1, answer.text
    lead = (await api.get("/v1/campaigns/autumn/leads")).json()["items"][0]
    assert lead["external_id"] == "E-100"
    assert lead["variables"] == {"clinic": "Lakeside"}
    assert lead["contacts"][0]["phone"] == "+12125550100"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "empty"),
        ("\ufeff\n\n", "empty"),
        ("external_id,name\nE-1,Ann\n", "no phone column"),
        (b"PK\x03\x04....", "Excel"),
        ("phone,Phone\n1,2\n", "two columns"),
    ],
    ids=["empty", "blank", "no-phone", "workbook", "doubled"],
)
async def test_a_file_that_is_no_use_is_refused_whole(
    api: httpx.AsyncClient, campaign: str, stores: Runtime, body: str | bytes, told: str
) -> None:
    answer = await send(api, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["errors"][0]["message"]
    assert await count(stores) == 0


async def test_a_lead_without_a_variable_of_the_prompt_is_refused_with_its_row(
    api: httpx.AsyncClient, campaign: str
) -> None:
    body = "phone,name,clinic\n+12125550100,Ann,Lakeside\n+12125550101,Bob,\n+12125550102,,x\n"
    result = (await send(api, body)).json()
    assert (result["created"], result["refused"]) == (1, 2)
    assert [(item["row"], item["field"]) for item in result["results"][1:]] == [
        (3, "clinic"),
        (4, "name"),
    ]
    assert "{{clinic}}" in result["results"][1]["message"]


async def test_json_and_ndjson(api: httpx.AsyncClient, campaign: str) -> None:
    good: dict[str, Any] = {"phone": "+12125550100", "name": "A", "variables": {"clinic": "L"}}
    bad = {**good, "phone": "5"}
    answer = await api.post("/v1/campaigns/autumn/leads", json={"leads": [good, bad]})
    assert [item["status"] for item in answer.json()["results"]] == ["created", "refused"]
    assert [item["row"] for item in answer.json()["results"]] == [0, 1]

    lines = "\n".join([json.dumps(good), "", "{nonsense", json.dumps(bad), json.dumps(good)])
    answer = await send(api, lines, {"Content-Type": "application/x-ndjson"})
    found = [(item["row"], item["status"]) for item in answer.json()["results"]]
    assert found == [(1, "created"), (3, "refused"), (4, "refused"), (5, "created")]


@pytest.mark.parametrize("body", ["", "[", "[]", "3", '{"leads": 1}', '{"x": []}', "[" * 10_000])
async def test_json_that_is_none(api: httpx.AsyncClient, campaign: str, body: str) -> None:
    answer = await send(api, body, {"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_only_what_is_not_in(api: httpx.AsyncClient, campaign: str) -> None:
    answer = await send(api, HEADER + line(100) + line(101, "x"), results="refused")
    assert answer.json()["created"] == 1
    assert [item["row"] for item in answer.json()["results"]] == [3]


async def test_an_external_id_is_one_lead(
    api: httpx.AsyncClient, campaign: str, stores: Runtime
) -> None:
    first = (await send(api, HEADER + line(100))).json()["results"][0]["lead_id"]
    again = (await send(api, HEADER + line(100) + line(101) + line(101))).json()["results"]
    assert [item["status"] for item in again] == ["duplicate", "created", "duplicate"]
    assert again[0]["lead_id"] == first
    assert again[2]["lead_id"] == again[1]["lead_id"]
    assert await count(stores) == 2


async def test_sent_again_with_its_key_it_is_answered_the_same(
    api: httpx.AsyncClient, campaign: str, stores: Runtime
) -> None:
    body = "phone,name,clinic\n" + "+12125550100,Ann,L\n" * 3 + "x,Bob,L\n"
    first = await send(api, body, {**CSV, "Idempotency-Key": "one"})
    again = await send(api, body, {**CSV, "Idempotency-Key": "one"})
    assert first.json()["created"] == 3
    assert again.json() == first.json()
    assert await count(stores) == 3
    other = await send(api, body + "+12125550101,Z,L\n", {**CSV, "Idempotency-Key": "one"})
    assert other.status_code == 422
    assert await count(stores) == 3


async def test_a_crash_in_the_middle_costs_nothing(
    api: httpx.AsyncClient, campaign: str, stores: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after some batches; the same request takes them up and adds the rest."""
    monkeypatch.setattr(importing, "BATCH", 10)
    body = "phone,name,clinic\n" + "".join(f"+1212555{n:04},Ann,L\n" for n in range(100, 135))
    headers = {**CSV, "Idempotency-Key": "crash"}
    dying = importing.import_leads

    class ProcessDies(BaseException):
        """Nothing that the code could catch as an error."""

    async def die_later(*args: Any) -> AsyncGenerator[list[importing.ItemResult], None]:
        seen = 0
        async with aclosing(dying(*args)) as batches:
            async for batch in batches:
                yield batch
                seen += 1
                if seen == 2:
                    raise ProcessDies

    with monkeypatch.context() as patch:
        patch.setattr(imports, "import_leads", die_later)
        with pytest.raises(BaseException):  # noqa: B017, PT011 - whatever the transport makes of it
            await send(api, body, headers)
    assert await count(stores) == 20

    busy = await send(api, body, headers)
    assert busy.status_code == 409, "its lease has not run out"
    async with stores.sessions.begin() as session:
        await session.execute(text("UPDATE idempotency_keys SET lease_until = now()"))
    answer = await send(api, body, headers)
    assert answer.json()["created"] == 35
    assert await count(stores) == 35


async def test_a_long_import_keeps_its_key(
    api: httpx.AsyncClient, campaign: str, stores: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = 0
    renew = idempotency.Claim.renew

    async def counted(claim: idempotency.Claim) -> None:
        nonlocal renewed
        renewed += 1
        await renew(claim)

    monkeypatch.setattr(importing, "BATCH", 10)
    monkeypatch.setattr(idempotency.Claim, "renew", counted)
    body = HEADER + "".join(line(number) for number in range(100, 130))
    answer = await send(api, body, {**CSV, "Idempotency-Key": "long"})
    assert answer.json()["created"] == 30
    assert renewed == 3


async def test_a_body_that_is_too_large_is_refused_while_it_comes(
    api: httpx.AsyncClient, campaign: str, stores: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "IMPORT_LIMIT", 100_000)

    async def endless() -> AsyncIterator[bytes]:
        yield HEADER.encode()
        for number in range(1_000_000):
            yield line(number).encode()

    answer = await api.post("/v1/campaigns/autumn/leads", content=endless(), headers=CSV)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert await count(stores) == 0


async def test_what_it_is_must_be_said(api: httpx.AsyncClient, campaign: str) -> None:
    answer = await send(api, HEADER, {"Content-Type": "application/octet-stream"})
    assert answer.status_code == 415


async def test_a_campaign_that_takes_no_leads(api: httpx.AsyncClient, campaign: str) -> None:
    assert (await send(api, HEADER + line(100), campaign="nobody")).status_code == 404
    assert (await api.post("/v1/campaigns/autumn/cancel")).status_code == 200
    assert (await send(api, HEADER + line(100))).status_code == 409
