"""Tools in real calls: one of the template's own, and a human who takes over."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from starlette.applications import Starlette

from calls import Called, Record, closed_record, make_call, socket_url
from conftest import RunningPod
from media_line import MediaLine, open_line
from outdial.settings import Settings
from outdial.storage.tables import ToolCall
from outdial_sandbox.carrier.shop import TOKEN, shop_routes
from outdial_sandbox.people.people import who_answers

pytestmark = pytest.mark.integration

DELIVERY = yaml.safe_load(
    (Path(__file__).parents[3] / "examples/templates/delivery-day.yaml").read_text()
)
ALL_TOOLS = ["end_call", "record_outcome", "send_digits", "transfer_to_human"]
TRANSFER = {"number": "+12125550127"}


@pytest.fixture
async def shop() -> AsyncIterator[str]:
    """The address of the sandbox's shop."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(Starlette(routes=shop_routes()), log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task


async def talk(pod: RunningPod, ending: str, **changes: Any) -> tuple[MediaLine, Called, Record]:
    """A whole call with who answers numbers with this ending."""
    called = await make_call(pod.runtime, **changes)
    person = who_answers(f"+120255501{ending}").start(7)
    async with open_line(socket_url(pod.runtime, called, pod.pod.boot_id), person) as line:
        async with asyncio.timeout(90):
            await line.closed.wait()
    record = await closed_record(pod.runtime, called.attempt_id)
    for turn in record.turns:
        print(turn.role, turn.text, turn.raw)  # told when a test fails
    for tool in record.tools:
        print(tool.name, tool.arguments, tool.result)
    return line, called, record


def tool_of(record: Record, name: str) -> ToolCall:
    found = [tool for tool in record.tools if tool.name == name]
    assert found, f"{name} was not called"
    return found[0]


async def test_a_tool_of_the_templates_own_is_asked_while_the_person_waits(
    shop: str,
    start_pod: Callable[[Settings], asyncio.Future[RunningPod]],
    media_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OUTDIAL_TOOL_SECRET_SANDBOX_SHOP", TOKEN)
    pod = await start_pod(media_settings.model_copy(update={"http_tools_allow": "127.0.0.1"}))
    changes = json.loads(json.dumps(DELIVERY).replace("http://127.0.0.1:8090", shop))
    own = changes["tools"][-1]
    own["http"]["url"] += "&slow=3"
    _, _, record = await talk(pod, "00", **changes)

    asked = tool_of(record, "order_status")
    assert asked.arguments == {"detail": "delivery"}
    assert asked.result is not None
    assert (asked.result["status"], asked.result["from"]) == ("sent", "9:00")
    assert (asked.finished_at - asked.called_at).total_seconds() >= 3
    assert f"It comes on {asked.result['day']}." in record.said("agent")
    assert "Let me check that." in record.said("agent"), "the person did not wait in silence"
    assert TOKEN not in json.dumps([[t.arguments, t.result] for t in record.tools])
    told = next(event for event in record.events if event.payload.get("name") == "order_status")
    assert told.kind == "tool_called"
    outcome = tool_of(record, "record_outcome")
    assert outcome.arguments["at_home"] is True


async def test_a_human_takes_over_what_the_agent_leaves(pod: RunningPod) -> None:
    line, _, record = await talk(pod, "24", tools=ALL_TOOLS, transfer=TRANSFER)

    assert line.ended_by == "agent"
    assert "connect you" in record.said("agent")
    assert record.attempt.plan == "transfer", "committed before the socket closed, and kept"
    closing = record.payload("conversation_closed")
    assert (closing["ended_by"], closing["reason"]) == ("agent", "transfer")
    assert "end_call" not in [tool.name for tool in record.tools]
