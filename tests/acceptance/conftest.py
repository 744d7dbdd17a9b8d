"""One whole stack for all tests with sound, started by the first that asks.

One process runs this folder: two such stacks would take the processor from each other. Stacks
without sound (tests/chaos) run beside it, with less right to the processor.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from otlp_collector import Collector, collecting
from outdial.domain.call_template import DEFAULT_TOOLS, Retry
from outdial_cli.api_client import ApiClient, Json
from outdial_cli.stack.options import StackOptions, StackPaths
from outdial_cli.stack.stack import Stack
from polling import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everybody's call at once comes first: the heaviest, while nothing delicate runs beside it."""
    items.sort(key=lambda item: item.path.name != "test_people.py")


@pytest.fixture(scope="session")
def ended(api: ApiClient) -> Callable[[str], Json]:
    """Wait until a call has ended, and read all of it."""

    def wait(call_id: str) -> Json:
        wait_until(lambda: api.get(f"/v1/calls/{call_id}")["state"] == "ended", 90, "call ended")
        return api.get(f"/v1/calls/{call_id}")

    return wait


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Whom the stack sends its traces."""
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Stack]:
    """Two pods, the sandbox, and everything between."""
    paths = StackPaths.under(tmp_path_factory.mktemp("stack"))
    options = StackOptions(
        media=2,
        durable=False,
        calls_per_second=1.5,
        ring_seconds=1.0,
        env={
            "OUTDIAL_RING_TIMEOUT_SECONDS": "6",
            "OUTDIAL_POD_SLOTS": "10",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        },
    )
    with Stack(paths, options) as running:
        yield running


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[ApiClient]:
    """The REST API, as an admin."""
    with ApiClient(stack.info.api_url, stack.info.api_key) as client:
        yield client


@pytest.fixture(scope="session")
def http(stack: Stack) -> Iterator[httpx.Client]:
    """Plain HTTP to the gateway, with the admin's key."""
    headers = {"Authorization": f"Bearer {stack.info.api_key}"}
    with httpx.Client(
        base_url=stack.info.api_url, headers=headers, trust_env=False, timeout=30
    ) as client:
        yield client


@pytest.fixture(scope="session")
def ledger(stack: Stack) -> Callable[[], dict[str, Any]]:
    """What really happened so far."""

    def read() -> dict[str, Any]:
        url = f"{stack.info.carrier_url}/sandbox/ledger"
        found: dict[str, Any] = httpx.get(url, trust_env=False, timeout=30).json()
        return found

    return read


@pytest.fixture(scope="session")
def reminder(api: ApiClient) -> str:
    """The example's appointment reminder, whose retries come after two seconds.

    Who is silent is not called again: half a minute of silence is enough.
    """
    body = yaml.safe_load((EXAMPLES / "templates" / "appointment-reminder.yaml").read_text())
    body["retry"]["cooldowns"] = dict.fromkeys(
        ("busy", "no_answer", "declined", "machine", "failed", "technical_failure"), 2
    )
    body["retry"]["finish_on"] = [*Retry.finish_on, "silent"]
    return str(api.post("/v1/templates", body)["slug"])


@pytest.fixture(scope="session")
def reminder_with_all_tools(api: ApiClient) -> str:
    """The same, but it presses keys for menus and puts people through to a colleague."""
    body = yaml.safe_load((EXAMPLES / "templates" / "appointment-reminder.yaml").read_text())
    body["slug"] = "appointment-reminder-with-all-tools"
    body["tools"] = [*DEFAULT_TOOLS, "send_digits", "transfer_to_human"]
    body["transfer"] = {"number": "+12125550127", "whisper": "{{name}} for {{clinic}}."}
    return str(api.post("/v1/templates", body)["slug"])
