"""Who gets in, and how errors look."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from gateway_client import client_of
from outdial.operations.runtime import Runtime

pytestmark = pytest.mark.integration

READS = ["/v1/calls", "/v1/campaigns", "/v1/templates", "/v1/numbers", "/v1/suppressions",
         "/v1/pods"]  # fmt: skip


@pytest.mark.parametrize("path", [*READS, "/v1/keys", "/v1/campaigns/x"])
@pytest.mark.parametrize("header", [None, "Bearer od_wrong", "Basic b2Q6", "Bearer", "od_x"])
async def test_nobody_gets_in_without_a_key(
    api: httpx.AsyncClient, path: str, header: str | None
) -> None:
    headers = {"Authorization": header or ""}
    answer = await api.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_viewer_reads_and_changes_nothing(
    app: FastAPI, stores: Runtime, api: httpx.AsyncClient, campaign: str
) -> None:
    async with await client_of(app, stores, "viewer") as viewer:
        for path in READS:
            assert (await viewer.get(path)).status_code == 200, path
        for method, path in [
            ("POST", "/v1/calls"),
            ("POST", "/dialout"),
            ("POST", "/v1/campaigns/autumn/start"),
            ("POST", "/v1/campaigns/autumn/cancel"),
            ("POST", "/v1/campaigns/autumn/leads"),
            ("PATCH", "/v1/campaigns/autumn"),
            ("POST", "/v1/templates"),
            ("POST", "/v1/numbers"),
            ("POST", "/v1/suppressions"),
            ("GET", "/v1/keys"),
        ]:
            answer = await viewer.request(method, path, json={"to_number": "+12125550100"})
            assert answer.status_code == 403, f"{method} {path}: {answer.text}"


async def test_only_an_admin_lifts_a_suppression_or_keeps_keys(
    app: FastAPI, stores: Runtime, api: httpx.AsyncClient
) -> None:
    await api.post("/v1/suppressions", json={"phone": "+12125550113"})
    async with await client_of(app, stores, "operator") as operator:
        assert (await operator.delete("/v1/suppressions/+12125550113")).status_code == 403
        assert (await operator.post("/v1/keys", json={"name": "x"})).status_code == 403
    assert (await api.delete("/v1/suppressions/%2B12125550113")).status_code == 204


async def test_a_key_from_its_making_to_its_end(app: FastAPI, api: httpx.AsyncClient) -> None:
    made = (await api.post("/v1/keys", json={"name": "reports", "role": "viewer"})).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert (await api.get("/v1/calls", headers=headers)).status_code == 200
    listed = (await api.get("/v1/keys")).json()["items"]
    (shown,) = [key for key in listed if key["id"] == made["id"]]
    assert shown["last_used_at"] is not None
    assert "key" not in shown
    assert made["key"] not in (await api.get("/v1/keys")).text
    assert (await api.delete(f"/v1/keys/{made['id']}")).status_code == 204
    assert (await api.get("/v1/calls", headers=headers)).status_code == 401
    assert (await api.delete(f"/v1/keys/{made['id']}")).status_code == 404


async def test_no_key_is_stored(api: httpx.AsyncClient, stores: Runtime) -> None:
    secret = (await api.post("/v1/keys", json={"name": "x"})).json()["key"]
    async with stores.sessions() as session:
        rows = (await session.execute(text("SELECT api_keys::text FROM api_keys"))).scalars().all()
    assert not any(secret in row for row in rows)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", "/v1/calls", 405), ("GET", "/v1/calls/abc", 422),
     ("GET", "/v1/calls/00000000-0000-0000-0000-000000000000", 404),
     ("GET", "/v1/calls?limit=0", 422), ("GET", "/v1/calls?cursor=zzz", 422),
     ("GET", "/v1/campaigns/nobody", 404), ("GET", "/v1/templates/none", 404),
     ("GET", "/v1/templates/default/versions/99999999999", 422),
     ("GET", "/v1/suppressions/nonsense", 422), ("GET", "/v1/calls?campaign=none", 404)],
)  # fmt: skip
async def test_every_error_is_a_problem(
    api: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await api.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]


async def test_a_body_that_is_declared_too_large(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/calls", content=b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_description_has_an_example_for_every_request(api: httpx.AsyncClient) -> None:
    described = (await api.get("/openapi.json")).json()
    schemas = described["components"]["schemas"]
    bodies = 0
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                name = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
                has_example = "example" in media or schemas.get(name, {}).get("examples")
                assert has_example, f"{method} {path}"
                bodies += 1
    assert bodies >= 10
    assert not [path for path in described["paths"] if path.startswith("/twilio")]


async def test_health(api: httpx.AsyncClient) -> None:
    anonymous = {"Authorization": ""}
    assert (await api.get("/health", headers=anonymous)).status_code == 200
    ready = await api.get("/ready", headers=anonymous)
    assert ready.json() == {"status": "ok", "postgres": True, "redis": True}
    await api.get("/v1/calls")
    metrics = (await api.get("/metrics", headers=anonymous)).text
    assert 'outdial_http_request_seconds_count{method="GET",route="/v1/calls",status="200"}' in (
        metrics
    )
