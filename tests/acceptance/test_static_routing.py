"""`OUTDIAL_ROUTING=static`: the TwiML goes along with the POST, to one fixed address."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from outdial_cli.api_client import ApiClient
from outdial_cli.stack import stack as launcher
from outdial_cli.stack.options import StackOptions, StackPaths
from outdial_cli.stack.ports import free_ports
from outdial_cli.stack.stack import Stack
from polling import wait_until

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(240),
]

EXAMPLES = Path(__file__).parents[2] / "examples"
POD_PORT = 2  # of the ports that the launcher takes, the pod's


@pytest.fixture
def static(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    """A stack whose one pod has an address that is known before it starts."""
    ports = free_ports(6)
    monkeypatch.setattr(launcher, "free_ports", lambda _count: ports)
    env = {
        "OUTDIAL_ROUTING": "static",
        "OUTDIAL_STATIC_STREAM_URL": f"ws://127.0.0.1:{ports[POD_PORT]}/pods/pod-1",
        "OUTDIAL_RING_TIMEOUT_SECONDS": "6",
    }
    options = StackOptions(media=1, durable=False, port=ports[0], ring_seconds=1.0, env=env)
    with Stack(StackPaths.under(tmp_path_factory.mktemp("static")), options) as stack:
        yield stack


def test_a_call_is_held_without_anybody_being_asked_where_to_connect_it(
    static: Stack,
) -> None:
    body = yaml.safe_load((EXAMPLES / "templates/appointment-reminder.yaml").read_text())
    body.pop("hours", None)
    with ApiClient(static.info.api_url, static.info.api_key) as api:
        slug = api.post("/v1/templates", body)["slug"]
        lead = api.post(
            "/v1/calls",
            {
                "to_number": "+12125551900",
                "template": slug,
                "name": "Maria Lopez",
                "variables": {"clinic": "Lakeside Clinic", "appointment": "Tuesday at ten thirty"},
            },
        )["lead_id"]
        wait_until(
            lambda: api.get(f"/v1/leads/{lead}")["state"] == "finished", 120, "the lead is finished"
        )
        assert api.get(f"/v1/leads/{lead}")["outcome"] == "completed"
        (call,) = list(api.pages("/v1/calls"))

        def told() -> set[tuple[str, str]]:
            events = api.get(f"/v1/calls/{call['id']}")["events"]
            return {(event["source"], event["kind"]) for event in events}

        # `action` is asked all the same. The gateway writes that after its answer, and together
        # with what else comes in that tenth of a second: the call may be settled before.
        wait_until(lambda: ("stream", "ended") in told(), 10, lambda: f"stream ended in {told()}")
        assert ("gateway", "answered") not in told()
    with httpx.Client(trust_env=False) as client:
        (heard,) = client.get(f"{static.info.carrier_url}/sandbox/ledger").json()["calls"]
    assert heard["streams"][0]["url"].startswith(f"{static.info.pods[0]}/ws/")
    assert any(said["intent"] == "confirm" for said in heard["utterances"])
