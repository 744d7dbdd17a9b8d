"""After a hang-up: models that call the tool late, twice, wrongly, and never."""

import asyncio
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessage
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema

from outdial_media.closing_pass import closing_pass
from outdial_media.model_route import NoModelAnswers
from outdial_media.tool_result import ToolResult

pytestmark = pytest.mark.unit

SAID = [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Stop calling me."}]
OPT_OUT = ("opt_out", "{}")


class _Model:
    """Answers each request with the next list of tool calls; then with none."""

    def __init__(self, *answers: list[tuple[str, str]] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Mapping[str, Any]] = []

    async def create(self, **asked: Any) -> Any:
        self.asked.append({**asked, "messages": list(asked["messages"])})
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        calls = [
            {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": text}}
            for n, (name, text) in enumerate(answer)
        ]
        message = {"role": "assistant", "content": None, "tool_calls": calls or None}
        said = ChatCompletionMessage.model_validate(message)
        return SimpleNamespace(choices=[SimpleNamespace(message=said)])

    def told(self) -> list[Any]:
        """What tools answered, as the model saw it last."""
        messages = self.asked[-1]["messages"]
        return [json.loads(m["content"]) for m in messages if m["role"] == "tool"]


class _Tools:
    """Knows one tool; keeps what was run."""

    def __init__(self) -> None:
        names = ("opt_out", "record_outcome", "end_call", "transfer_to_human", "send_digits")
        self.schemas = [FunctionSchema(name, name, {}, []) for name in names]
        self.ran: list[tuple[str, Any]] = []

    async def run(self, name: str, arguments: Mapping[str, Any], call_id: str) -> ToolResult:
        dict(arguments)  # as the real ones: what is no mapping is a mistake
        self.ran.append((name, arguments))
        if name == "record_outcome" and not arguments.get("status"):
            return ToolResult({"error": "not recorded: status is missing"})
        return ToolResult({"ok": True})


async def run(model: Any, tools: _Tools, seconds: float = 30.0) -> None:
    await closing_pass(model, "Be kind.", SAID, tools, seconds)  # type: ignore[arg-type]


async def test_the_last_words_are_acted_on_without_a_voice() -> None:
    model, tools = _Model([OPT_OUT]), _Tools()
    await run(model, tools)
    assert tools.ran == [("opt_out", {})]
    system = model.asked[0]["messages"][0]["content"]
    assert system.startswith("Be kind.")
    assert "hung up" in system
    offered = [tool["function"]["name"] for tool in model.asked[0]["tools"]]
    assert offered == ["opt_out", "record_outcome"], "what needs a voice or a line is not offered"


async def test_a_model_that_never_calls_is_asked_once() -> None:
    model, tools = _Model(), _Tools()
    await run(model, tools)
    assert (len(model.asked), tools.ran) == (1, [])


async def test_a_model_that_calls_twice_is_heard_twice_and_then_done() -> None:
    model, tools = _Model([OPT_OUT, OPT_OUT], [OPT_OUT]), _Tools()
    await run(model, tools)
    assert len(tools.ran) == 3
    assert len(model.asked) == 3


async def test_a_model_that_does_not_stop_is_stopped() -> None:
    model, tools = _Model(*[[OPT_OUT]] * 50), _Tools()
    await run(model, tools)
    assert len(model.asked) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        ("record_outcome", "{"),
        ("record_outcome", "[1]"),
        ("record_outcome", "null"),
        ("record_outcome", "{}"),
    ],
)
async def test_a_wrong_call_goes_back_and_may_be_mended(wrong: tuple[str, str]) -> None:
    mended = ("record_outcome", '{"status": "declined"}')
    model, tools = _Model([wrong], [mended]), _Tools()
    await run(model, tools)
    assert "error" in model.told()[0]
    assert tools.ran[-1] == ("record_outcome", {"status": "declined"})


@pytest.mark.parametrize("name", ["end_call", "transfer_to_human", "send_digits"])
async def test_what_needs_a_line_is_not_run_although_it_is_called(name: str) -> None:
    model, tools = _Model([(name, "{}"), OPT_OUT]), _Tools()
    await run(model, tools)
    assert tools.ran == [("opt_out", {})]
    assert "error" in model.told()[0]


async def test_a_model_that_is_late_keeps_nobody_waiting() -> None:
    class Late(_Model):
        async def create(self, **asked: Any) -> Any:
            await asyncio.Event().wait()

    tools = _Tools()
    await run(Late(), tools, seconds=0.01)
    assert tools.ran == []


async def test_a_model_that_fails_after_its_call_has_still_made_it() -> None:
    model, tools = _Model([OPT_OUT], NoModelAnswers("gone")), _Tools()
    await run(model, tools)
    assert tools.ran == [("opt_out", {})]
