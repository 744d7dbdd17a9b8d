"""Pods through the front door: who is there, and taking one out of work."""

import httpx
import pytest
from fastapi import FastAPI

from gateway_client import client_of
from outdial.operations.runtime import Runtime
from outdial.routing.pod_registry import Heartbeat, beat

pytestmark = pytest.mark.integration


async def test_pods_are_listed_with_all_that_is_known(
    api: httpx.AsyncClient, stores: Runtime
) -> None:
    heartbeat = Heartbeat("pod-1", "b1", "wss://x/pods/pod-1", 4, labels={"zone": "eu"})
    await beat(stores.redis, heartbeat, stores.settings)
    (pod,) = (await api.get("/v1/pods")).json()["items"]
    assert 0 <= pod.pop("age_seconds") < 3
    assert pod == {
        "pod_id": "pod-1",
        "boot_id": "b1",
        "url": "wss://x/pods/pod-1",
        "state": "ready",
        "is_out": False,
        "slots": 4,
        "reserved": 0,
        "live": 0,
        "preparing": 0,
        "labels": {"zone": "eu"},
    }


async def test_an_operator_takes_a_pod_out_of_work(
    app: FastAPI, api: httpx.AsyncClient, stores: Runtime
) -> None:
    await beat(stores.redis, Heartbeat("pod-1", "b1", "wss://x/pods/pod-1", 4), stores.settings)
    async with await client_of(app, stores, "viewer") as viewer:
        assert (await viewer.post("/v1/pods/pod-1/drain")).status_code == 403
    async with await client_of(app, stores, "operator") as operator:
        answer = await operator.post("/v1/pods/pod-1/drain")
    assert (answer.status_code, answer.json()) == (200, {"pod_id": "pod-1", "state": "draining"})
    assert (await api.get("/v1/pods")).json()["items"][0]["state"] == "draining"


@pytest.mark.parametrize("name", ["nobody", "a%20b", "x%0ay"])
async def test_nobody_by_that_name(api: httpx.AsyncClient, name: str) -> None:
    assert (await api.post(f"/v1/pods/{name}/drain")).status_code in {404, 422}
