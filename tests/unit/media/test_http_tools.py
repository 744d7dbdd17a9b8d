"""The template's own tools in a call: checked, covered by a filler, never done twice."""

import asyncio
import uuid
from typing import Any

import pytest

from outdial.domain.call_template import Agent, CallTemplate, HttpRequest, HttpTool
from outdial.domain.phrases import phrases_for
from outdial.operations.conversation_record import ConversationBrief, EarlierToolCall
from outdial_media import http_tools as module
from outdial_media.http_tools import HttpTools
from outdial_media.tools import Tools

pytestmark = pytest.mark.unit

PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"order": {"type": "string"}},
    "required": ["order"],
}
ARGUMENTS = {"order": "A7"}


class _Call:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.covered: list[str] = []

    async def say(self, text: str) -> None:
        self.said.append(text)

    def cover_wait(self, text: str) -> None:
        self.covered.append(text)


class _Service:
    """Stands for the request: answers when `may_answer` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests = 0
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        monkeypatch.setattr(module, "call_http_tool", self._answer)

    async def _answer(self, *_: Any) -> dict[str, Any]:
        self.requests += 1
        self.asked.set()
        await self.may_answer.wait()
        return {"status": "sent"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> _Service:
    return _Service(monkeypatch)


@pytest.fixture
def call() -> _Call:
    return _Call()


def brief_of(method: Any = "POST", filler: str = "", **more: Any) -> ConversationBrief:
    request = HttpRequest("https://shop.test/", method=method, filler=filler)
    tool = HttpTool("look", "Look it up.", request, parameters=PARAMETERS)
    agent = Agent(name="A", greeting="Hi", prompt="P")
    template = CallTemplate(slug="t", agent=agent, tools=(tool,))
    return ConversationBrief(uuid.UUID(int=1), 1, "+12025550100", template, **more)


def tools_of(call: _Call, brief: ConversationBrief) -> HttpTools:
    return HttpTools(None, brief, call)  # type: ignore[arg-type]


async def test_wrong_arguments_go_back_once_and_then_the_person_is_told(
    service: _Service, call: _Call
) -> None:
    tools = tools_of(call, brief_of())
    first = await tools.run("look", {})
    assert "order" in first.answer["error"]
    assert first.run_model
    assert not call.said
    second = await tools.run("look", {"order": 7})
    assert not second.run_model
    assert call.said == [phrases_for("en").cannot_do]
    assert service.requests == 0


async def test_arguments_that_were_mended_are_used(service: _Service, call: _Call) -> None:
    service.may_answer.set()
    tools = tools_of(call, brief_of())
    await tools.run("look", {})
    assert (await tools.run("look", ARGUMENTS)).answer == {"status": "sent"}
    assert (await tools.run("look", {})).run_model, "the next mistake is a first one again"


async def test_the_wait_is_covered_with_the_templates_words(service: _Service, call: _Call) -> None:
    brief = brief_of(filler="Let me look at {{order}}.")
    running = asyncio.create_task(tools_of(call, brief).run("look", ARGUMENTS))
    await service.asked.wait()
    assert call.covered == ["Let me look at A7."]
    service.may_answer.set()
    assert (await running).answer == {"status": "sent"}


@pytest.mark.parametrize(
    ("method", "result", "arguments", "requests"),
    [
        ("POST", None, ARGUMENTS, 0),
        ("POST", {"status": "booked"}, ARGUMENTS, 0),
        ("POST", None, {"order": "B8"}, 1),
        ("GET", None, ARGUMENTS, 1),
    ],
)
async def test_what_a_lost_stream_may_have_done_is_not_done_again(
    service: _Service,
    call: _Call,
    method: str,
    result: dict[str, object] | None,
    arguments: dict[str, Any],
    requests: int,
) -> None:
    service.may_answer.set()
    earlier = EarlierToolCall("look", ARGUMENTS, result)
    tools = tools_of(call, brief_of(method, tool_history=(earlier,)))
    told = (await tools.run("look", arguments)).answer
    assert service.requests == requests
    if not requests:
        assert told == result if result else "outcome unknown" in told["error"]


async def test_a_request_whose_answer_an_interruption_kept_back_is_not_made_twice(
    service: _Service, call: _Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: Any, **__: Any) -> None:
        return None

    for name in ("begin_tool_call", "finish_tool_call", "record_milestone"):
        monkeypatch.setattr(f"outdial_media.tools.{name}", nothing)
    tools = Tools(None, brief_of(), call, None)  # type: ignore[arg-type]
    interrupted = asyncio.create_task(tools.run("look", ARGUMENTS, "c1"))
    await service.asked.wait()
    interrupted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await interrupted
    again = asyncio.create_task(tools.run("look", ARGUMENTS, "c2"))
    service.may_answer.set()
    assert (await again).answer == {"status": "sent"}
    assert service.requests == 1
    await tools.run("look", ARGUMENTS, "c3")
    assert service.requests == 2, "who has heard the answer may ask anew"
