"""Templates through the door: versions, YAML and JSON, and what is refused."""

from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.integration

AGENT = {"name": "Ada", "greeting": "Hello", "prompt": "Ask."}


async def test_versions(api: httpx.AsyncClient) -> None:
    first = (await api.post("/v1/templates", json={"slug": "x", "agent": AGENT})).json()
    same = (await api.post("/v1/templates", json={"slug": "x", "agent": AGENT})).json()
    other = {"slug": "x", "agent": {**AGENT, "prompt": "Ask well."}}
    second = (await api.post("/v1/templates", json=other)).json()
    assert (first["version"], same["id"], second["version"]) == (1, first["id"], 2)
    assert (await api.get("/v1/templates/x")).json()["version"] == 2
    versions = (await api.get("/v1/templates/x/versions")).json()["items"]
    assert [one["version"] for one in versions] == [2, 1]
    assert (await api.get("/v1/templates/x/versions/1")).json()["id"] == first["id"]
    assert (await api.get("/v1/templates/x/versions/3")).status_code == 404


async def test_a_lead_keeps_the_version_of_its_campaign(api: httpx.AsyncClient) -> None:
    await api.post("/v1/templates", json={"slug": "x", "agent": AGENT})
    await api.post("/v1/campaigns", json={"name": "c", "template": "x"})
    await api.post(
        "/v1/templates", json={"slug": "x", "agent": {**AGENT, "prompt": "Say {{new}}."}}
    )
    added = await api.post("/v1/campaigns/c/leads", json=[{"phone": "+12125550100"}])
    assert added.json()["created"] == 1
    assert (await api.get("/v1/campaigns/c")).json()["template_version"] == 1


EXAMPLES = {
    name: Path(f"examples/templates/{name}.yaml").read_bytes()
    for name in ("appointment-reminder", "order-follow-up")
}


@pytest.mark.parametrize("name", EXAMPLES)
async def test_the_examples_go_in_as_they_lie(api: httpx.AsyncClient, name: str) -> None:
    body = EXAMPLES[name]
    answer = await api.post(
        "/v1/templates", content=body, headers={"Content-Type": "application/yaml"}
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["slug"] == name


async def test_the_default_is_there_from_the_start(api: httpx.AsyncClient) -> None:
    listed = (await api.get("/v1/templates")).json()["items"]
    assert [one["slug"] for one in listed] == ["default"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"slug": "x", "agent": AGENT, "outcome_schema": {"type": "objekt"}},
         "outcome_schema.type"),
        ({"slug": "x", "agent": AGENT, "outcome_schema": {"required": "all"}},
         "outcome_schema.required"),
        ({"slug": "x", "agent": {**AGENT, "promt": "x"}}, "agent.promt"),
        ({"slug": "x", "agent": AGENT, "lookup": {"url": "https://x.test"}}, "lookup.url"),
        ({"slug": "x"}, "agent"),
    ],
)  # fmt: skip
async def test_what_does_not_hold_is_named(
    api: httpx.AsyncClient, body: dict[str, object], field: str
) -> None:
    answer = await api.post("/v1/templates", json=body)
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert [one["slug"] for one in (await api.get("/v1/templates")).json()["items"]] == ["default"]


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"a: [", b"a: 1\na: 2", b"a: &b [*b]"])
async def test_what_is_no_document(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/v1/templates", content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_large_one(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/templates", content=b"a: " + b"x" * 300_000)
    assert answer.status_code == 413
