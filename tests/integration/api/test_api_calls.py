"""Single calls: asked for once."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api_calls_world import PHONE, ask
from outdial.operations.runtime import Runtime

pytestmark = pytest.mark.integration


async def test_dialout_answers_with_the_call_at_once(api: httpx.AsyncClient) -> None:
    answer = await api.post("/dialout", json={"to_number": PHONE, "from_number": "+14155550199"})
    assert answer.status_code == 201
    call = answer.json()
    assert call["call_id"] == call["id"]
    found = (await api.get(f"/v1/calls/{call['id']}")).json()
    assert (found["state"], found["to_number"]) == ("waiting", PHONE)
    assert found["from_number"] == "+14155550199"
    assert found["template"] == "default"
    assert found["attempt_ids"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"to_number": "5551234"}, "to_number"),
        ({"to_number": PHONE, "from_number": "x"}, "from_number"),
        ({"to_number": PHONE, "contacts": [{"phone": PHONE}]}, ""),
        ({"contacts": []}, "contacts"),
        ({"to_number": PHONE, "template_version": 0}, "template_version"),
        ({"to_number": PHONE, "variables": {"a": [1]}}, None),
        ({"to_number": PHONE, "variables": {"a": "\0"}}, "variables.a"),
        ({"to_number": PHONE, "name": "\0"}, "name"),
        ({"to_number": PHONE, "timezone": "Mars/Olympus"}, "timezone"),
        ({"to_number": PHONE, "not_before": "2030-01-01T00:00:00"}, "not_before"),
        ({"to_number": PHONE, "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"to_number": PHONE, "to": PHONE}, "to"),
    ],
)
async def test_calls_that_do_not_hold(
    api: httpx.AsyncClient, body: dict[str, Any], field: str | None
) -> None:
    answer = await api.post("/v1/calls", json=body)
    assert answer.status_code == 422, answer.text
    if field is not None:
        assert field in [error["field"] for error in answer.json()["errors"]]


async def test_a_call_brings_what_its_template_names(api: httpx.AsyncClient, template: str) -> None:
    bare = await api.post("/v1/calls", json={"to_number": PHONE, "template": template})
    assert bare.status_code == 422
    assert bare.json()["errors"][0]["field"] == "clinic"
    call = await ask(api, template=template, name="Ann", variables={"clinic": "Lakeside"})
    campaigns = (await api.get("/v1/campaigns")).json()["items"]
    assert [one["name"] for one in campaigns] == ["_calls:visit"]
    assert campaigns[0]["status"] == "running"
    assert call["campaign_id"] == campaigns[0]["id"]
    assert (await api.post("/v1/campaigns/_calls:visit/cancel")).status_code == 409
    missing = await api.post("/v1/calls", json={"to_number": PHONE, "template": "none"})
    assert missing.status_code == 404


async def test_many_first_calls_at_once_make_one_campaign(
    api: httpx.AsyncClient, stores: Runtime
) -> None:
    bodies = [{"to_number": f"+1212555{number:04}"} for number in range(100, 120)]
    answers = await asyncio.gather(*(api.post("/v1/calls", json=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["campaign_id"] for answer in answers}) == 1


class TestOnce:
    """Idempotency-Key."""

    async def test_the_same_request_is_one_call(
        self, api: httpx.AsyncClient, stores: Runtime
    ) -> None:
        key = {"Idempotency-Key": "order-1"}
        first = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        again = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        assert again.json() == first.json()
        assert again.status_code == first.status_code == 201
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert await count_leads(stores) == 1

    async def test_another_request_with_the_key_is_refused(self, api: httpx.AsyncClient) -> None:
        key = {"Idempotency-Key": "order-1"}
        await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        other = await api.post("/v1/calls", json={"to_number": "+12125550101"}, headers=key)
        assert other.status_code == 422
        elsewhere = await api.post("/dialout", json={"to_number": PHONE}, headers=key)
        assert elsewhere.status_code == 422

    async def test_a_hundred_at_once_are_one_call(
        self, api: httpx.AsyncClient, stores: Runtime
    ) -> None:
        key = {"Idempotency-Key": "race"}
        answers = await asyncio.gather(
            *(api.post("/v1/calls", json={"to_number": PHONE}, headers=key) for _ in range(40))
        )
        assert {answer.status_code for answer in answers} <= {201, 409}
        made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
        assert len(made) == 1
        assert await count_leads(stores) == 1

    async def test_a_key_belongs_to_its_owner(
        self, app: FastAPI, stores: Runtime, api: httpx.AsyncClient
    ) -> None:
        made = (await api.post("/v1/keys", json={"name": "other"})).json()["key"]
        key = {"Idempotency-Key": "mine"}
        await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        other = {**key, "Authorization": f"Bearer {made}"}
        answer = await api.post("/v1/calls", json={"to_number": "+12125550101"}, headers=other)
        assert answer.status_code == 201

    async def test_a_process_that_died_after_its_commit_made_one_call(
        self, api: httpx.AsyncClient, stores: Runtime
    ) -> None:
        key = {"Idempotency-Key": "died"}
        first = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        async with stores.sessions.begin() as session:  # as it was before the answer was kept
            await session.execute(
                text(
                    "UPDATE idempotency_keys SET status = NULL, body = NULL, "
                    "lease_until = now() + interval '1 minute'"
                )
            )
        at_work = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        assert at_work.status_code == 409
        assert at_work.headers["retry-after"]
        async with stores.sessions.begin() as session:
            await session.execute(text("UPDATE idempotency_keys SET lease_until = now()"))
        again = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        assert again.status_code == 201
        assert again.json()["id"] == first.json()["id"]
        assert await count_leads(stores) == 1

    async def test_a_refused_request_gives_its_key_back(
        self, api: httpx.AsyncClient, template: str
    ) -> None:
        key = {"Idempotency-Key": "mend"}
        body = {"to_number": PHONE, "template": "later"}
        assert (await api.post("/v1/calls", json=body, headers=key)).status_code == 404
        agent = {"name": "A", "greeting": "Hi", "prompt": "Ask."}
        await api.post("/v1/templates", json={"slug": "later", "agent": agent})
        assert (await api.post("/v1/calls", json=body, headers=key)).status_code == 201

    async def test_after_seven_days_a_key_is_new(
        self, api: httpx.AsyncClient, stores: Runtime
    ) -> None:
        key = {"Idempotency-Key": "old"}
        first = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        async with stores.sessions.begin() as session:
            await session.execute(
                text("UPDATE idempotency_keys SET created_at = now() - interval '7 days 1 second'")
            )
        second = await api.post("/v1/calls", json={"to_number": PHONE}, headers=key)
        assert second.json()["id"] != first.json()["id"]

    @pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9"])
    async def test_keys_that_are_none(self, api: httpx.AsyncClient, key: str) -> None:
        headers = [(b"Idempotency-Key", key.encode("latin-1"))]
        answer = await api.post("/v1/calls", json={"to_number": PHONE}, headers=headers)
        assert answer.status_code == 422


async def count_leads(stores: Runtime) -> int:
    async with stores.sessions() as session:
        return await session.scalar(text("SELECT count(*) FROM leads")) or 0
