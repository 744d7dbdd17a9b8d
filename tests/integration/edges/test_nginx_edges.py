"""The public edge, with Debian's nginx: what is asked for is reached, and nothing else is."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from nginx_world import COMPOSE, KUBERNETES, UPGRADE, Edge, running_edge
from outdial.domain.phrases import PHRASES
from outdial.operations.connect_call import unable

pytestmark = [pytest.mark.integration, pytest.mark.needs("nginx")]

# Fixed: they stand in the names of tests, which every xdist worker must agree on.
TEMPLATE = "0198f0a0-0000-7000-8000-000000000001"
ATTEMPT = "0198f0a0-0000-7000-8000-000000000002"
TOKEN = "A" * 30 + "-_9"
ONE, TWO = "13cbf930baab", "4fb787e6c7e0"  # replicas are called by their containers' ids
HOSTS = {
    ONE: "127.0.0.2",
    TWO: "127.0.0.3",
    "gateway": "127.0.0.4",
    "redis": "127.0.0.5",
    "evil.example": "127.0.0.6",
}


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """As in compose: containers' ids, Docker's kind of resolver."""
    async with running_edge(tmp_path, COMPOSE, HOSTS) as running:
        yield running


def media(pod: str, token: str = TOKEN) -> str:
    return f"/pods/{pod}/ws/{TEMPLATE}/{token}"


async def test_each_pods_socket_reaches_that_pod_with_its_signature(edge: Edge) -> None:
    for pod in (ONE, TWO, ONE):
        url = f"ws://127.0.0.1:{edge.port}{media(pod)}"
        headers = {"X-Twilio-Signature": f"signed+for/{pod}="}
        async with connect(url, additional_headers=headers, proxy=None) as socket:
            assert json.loads(await socket.recv()) == {"host": pod}
            await socket.send("twenty milliseconds")
            assert await socket.recv() == "twenty milliseconds"
        assert edge.hosts[pod].paths[-1] == media(pod)  # byte for byte: it is signed
        assert edge.hosts[pod].headers[-1]["X-Twilio-Signature"] == f"signed+for/{pod}="
    assert set(edge.asked) == {ONE, TWO}


async def test_a_pod_that_is_gone_is_a_refusal_and_not_a_wait(edge: Edge) -> None:
    await edge.stop(TWO)
    for pod in (TWO, "ffffffffffff"):  # dead, and never there
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{edge.port}{media(pod)}", proxy=None).__aenter__()
        assert refused.value.response.status_code in {502, 504}
    assert edge.asked == {}


@pytest.mark.parametrize(
    "path",
    [
        media("redis"),  # a host of the same network
        media("gateway"),
        media("evil.example"),
        media("127.0.0.5"),
        media("localhost"),
        media(f"{ONE}.evil.example"),
        media(f"{ONE}:6379"),
        media(f"{ONE}@redis"),
        media(ONE.upper()),
        media(ONE + "0"),
        media(f"{ONE}%2eevil.example"),
        media(f"{ONE}%00"),
        media(f"..%2f{ONE}"),
        f"/pods/{ONE}/../redis/ws/{TEMPLATE}/{TOKEN}",
        f"/pods/redis/../{ONE}/ws/{TEMPLATE}/{TOKEN}",
        f"/pods/{ONE}/ws/{TEMPLATE}/../../../metrics",
        f"/pods/{ONE}/ws/{TEMPLATE}%2f{TOKEN}",
        f"/pods/{ONE}%2fws/{TEMPLATE}/{TOKEN}",
        f"/pods//{ONE}/ws/{TEMPLATE}/{TOKEN}",
        f"//pods/{ONE}/ws/{TEMPLATE}/{TOKEN}",
        f"/pods/{ONE}/./ws/{TEMPLATE}/{TOKEN}",
        f"/pods/{ONE}/ws/{TEMPLATE}/{TOKEN}/",
        f"/pods/{ONE}/ws/{TEMPLATE}/{TOKEN}?a=b",
        f"/pods/{ONE}/ws/{TEMPLATE}/{TOKEN}%0d%0aX:y",
        f"/pods/{ONE}/ws/{TEMPLATE}/short",
        f"/pods/{ONE}/health",
        f"/pods/{ONE}/metrics",
        f"/pods/{ONE}",
        "/pods/",
        "http://redis/pods/redis/ws/x/y",
    ],
)
async def test_tricks_reach_nobody(edge: Edge, path: str) -> None:
    status, _ = await edge.raw(path, **UPGRADE)
    assert status in {400, 404}
    assert edge.asked == {}
    assert edge.names.asked == []  # not even its name was looked up


async def test_a_media_path_without_an_upgrade_reaches_nobody(edge: Edge) -> None:
    assert (await edge.raw(media(ONE)))[0] == 404
    assert (await edge.raw(media(ONE), "POST"))[0] == 404
    assert edge.asked == {}


@pytest.mark.parametrize(
    "path",
    [
        f"/twilio/voice/{ATTEMPT}?pod={ONE}&boot=b&at=wss%3A%2F%2Fx%2Fpods%2F{ONE}",
        f"/twilio/callback/status/{ATTEMPT}",
        f"/twilio/callback/stream-ended/{ATTEMPT}/2",
        f"/twilio/callback/twiml-fallback/{ATTEMPT}?pod={ONE}",
        "/twilio/inbound",
    ],
)
async def test_twilios_routes_reach_the_gateway_as_they_were_signed(edge: Edge, path: str) -> None:
    # The process behind answers GETs only (a WebSocket server): what counts is what reached it.
    status, _ = await edge.raw(path, "POST", X_Twilio_Signature="abc=")
    assert status != 404
    assert edge.names.asked == ["gateway"]
    assert (await edge.raw(path))[0] == 403  # Twilio posts


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/calls",
        "/v1/pods",
        "/metrics",
        "/health",
        "/docs",
        "/dialout",
        "/twilio/../v1/calls",
        "/twilio/%2e%2e/v1/calls",
        "/twilio/voice/..%2f..%2fv1%2fcalls",
        f"/twilio/voice/{ATTEMPT}/../../../v1/calls",
        f"/twilio/callback/twiml-fallback/../../../v1/{ATTEMPT}",
        "/twilio//voice/x",
    ],
)
async def test_nothing_else_is_public(edge: Edge, path: str) -> None:
    for method in ("GET", "POST"):
        assert (await edge.raw(path, method))[0] in {400, 403, 404}
    assert edge.asked == {}
    assert edge.names.asked == []


async def test_without_a_gateway_the_fallback_is_a_goodbye_and_the_rest_an_error(
    edge: Edge,
) -> None:
    await edge.stop("gateway")
    status, body = await edge.raw(f"/twilio/callback/twiml-fallback/{ATTEMPT}?pod={ONE}", "POST")
    assert status == 200
    assert [verb.tag for verb in ET.fromstring(body)] == ["Say", "Hangup"]
    for tag in ("", "nl-BE", "xx", *PHRASES):
        path = f"/twilio/callback/twiml-fallback/{ATTEMPT}?pod={ONE}&lang={tag}"
        _, body = await edge.raw(path, "POST")
        assert ET.tostring(ET.fromstring(body), "unicode") == unable(tag).partition("?>")[2]
    for path in (f"/twilio/voice/{ATTEMPT}", f"/twilio/callback/stream-ended/{ATTEMPT}/1"):
        assert (await edge.raw(path, "POST"))[0] in {502, 504}  # Twilio asks again, or the fallback


async def test_no_token_is_written_to_the_log(edge: Edge, tmp_path: Path) -> None:
    url = f"ws://127.0.0.1:{edge.port}{media(ONE)}"
    async with connect(url, proxy=None) as socket:
        await socket.recv()
    await edge.raw("/")  # a later line: the log is written in order
    text = (tmp_path / "access.log").read_text()
    assert f"pod={ONE} 101" in text
    assert TOKEN not in text


HEADLESS = "outdial-media.outdial.svc.cluster.local"
GATEWAY = "outdial-gateway.outdial.svc.cluster.local"
CLUSTER = {
    f"outdial-media-0.{HEADLESS}": "127.0.0.2",
    f"outdial-media-12.{HEADLESS}": "127.0.0.3",
    "outdial-media-0": "127.0.0.4",  # the same name elsewhere
    GATEWAY: "127.0.0.5",
    f"redis.{HEADLESS}": "127.0.0.6",
}


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Edge]:
    """As in Kubernetes: names of a StatefulSet's pods behind a headless service."""
    async with running_edge(tmp_path, KUBERNETES, CLUSTER) as running:
        yield running


async def test_behind_a_headless_service_each_pod_is_reached(cluster: Edge) -> None:
    for pod in ("outdial-media-0", "outdial-media-12", "outdial-media-0"):
        url = f"ws://127.0.0.1:{cluster.port}{media(pod)}"
        async with connect(url, proxy=None) as socket:
            assert json.loads(await socket.recv()) == {"host": f"{pod}.{HEADLESS}"}
    assert set(cluster.asked) == {f"outdial-media-{n}.{HEADLESS}" for n in (0, 12)}
    assert set(cluster.names.asked) == set(cluster.asked)


async def test_behind_a_headless_service_a_pod_that_is_gone_is_a_refusal(cluster: Edge) -> None:
    await cluster.stop(f"outdial-media-12.{HEADLESS}")
    for pod in ("outdial-media-12", "outdial-media-13"):  # dead, and never there
        assert (await cluster.raw(media(pod), **UPGRADE))[0] in {502, 504}
    assert cluster.asked == {}


@pytest.mark.parametrize(
    "pod",
    [
        ONE,
        "redis",
        "outdial-gateway",
        "outdial-media",
        "outdial-media-x",
        "outdial-media-0.evil",
        f"outdial-media-0.{HEADLESS}",
        "outdial-media-0%2e",
        "outdial-media-0..",
        "outdial-media-00000",
        "../outdial-media-0",
        "%2e%2e%2foutdial-media-0",
        "outdial-media-0:6379",
    ],
)
async def test_behind_a_headless_service_other_names_reach_nobody(cluster: Edge, pod: str) -> None:
    assert (await cluster.raw(media(pod), **UPGRADE))[0] in {400, 404}
    assert cluster.asked == {}
    assert cluster.names.asked == []


async def test_a_gateway_of_the_cluster_is_asked_by_its_full_name(cluster: Edge) -> None:
    status, _ = await cluster.raw(f"/twilio/voice/{ATTEMPT}", "POST")
    assert status != 404
    assert cluster.names.asked == [GATEWAY]
