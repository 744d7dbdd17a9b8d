"""What each tool does: with its stores replaced by a list."""

import asyncio
import uuid
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from outdial.domain.call_template import Agent, CallTemplate, Transfer
from outdial.domain.phrases import phrases_for
from outdial.operations.conversation_record import ConversationBrief
from outdial_media import tools as module
from outdial_media.tools import Tools

pytestmark = pytest.mark.unit

PHRASES = phrases_for("en-US")
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


class _Call:
    def __init__(self) -> None:
        self.spoke = False
        self.endings: list[tuple[str | None, str]] = []
        self.machines = 0
        self.said: list[str] = []
        self.pressed: list[str] = []
        self.transfers: list[str | None] = []
        self.may_transfer = True

    def said_since_person(self) -> bool:
        return self.spoke

    def end_with(self, farewell: str | None, reason: str) -> None:
        self.endings.append((farewell, reason))

    async def say(self, text: str) -> None:
        self.said.append(text)

    async def press(self, digits: str) -> None:
        self.pressed.append(digits)

    async def reach_machine(self) -> None:
        self.machines += 1

    async def put_through(self, announcement: str | None) -> bool:
        self.transfers.append(announcement)
        return self.may_transfer


class _Stores:
    """Stands for everything that a tool writes, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: list[tuple[str, Any]] = []
        self.failures = 0

        async def begin(*_: Any, call_id: str, name: str, arguments: Any) -> bool:
            return self._write("begin", (call_id, name, arguments))

        async def finish(_runtime: Any, _attempt: Any, call_id: str, result: Any) -> None:
            self._write("finish", (call_id, dict(result)))

        async def milestone(_r: Any, _a: Any, kind: str, key: str, payload: Any) -> None:
            self._write(kind, (key, payload["name"], payload["arguments"]))

        async def suppress(_runtime: Any, phone: str, **_more: Any) -> bool:
            return self._write("suppress", phone)

        monkeypatch.setattr(module, "begin_tool_call", begin)
        monkeypatch.setattr(module, "finish_tool_call", finish)
        monkeypatch.setattr(module, "record_milestone", milestone)
        monkeypatch.setattr(module, "suppress", suppress)
        monkeypatch.setattr(module, "_STORE_PAUSE_SECONDS", 0)

    def _write(self, what: str, value: Any) -> bool:
        if self.failures:
            self.failures -= 1
            raise OperationalError("write", {}, OSError("away"))
        self.written.append((what, value))
        return True

    @property
    def steps(self) -> list[str]:
        return [what for what, _ in self.written]


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> _Stores:
    return _Stores(monkeypatch)


@pytest.fixture
def call() -> _Call:
    return _Call()


def tools_of(call: _Call, stream_no: int = 1, **template: Any) -> Tools:
    agent = Agent(name="A", greeting="Hi", prompt="P")
    made = CallTemplate(slug="t", agent=agent, outcome_schema=dict(SCHEMA), **template)
    brief = ConversationBrief(uuid.UUID(int=1), stream_no, "+12025550100", made)
    return Tools(None, brief, call, None)  # type: ignore[arg-type]


@pytest.fixture
def tools(call: _Call) -> Tools:
    return tools_of(call)


async def test_a_call_is_written_before_it_runs_and_told_after(
    tools: Tools, stores: _Stores
) -> None:
    result = await tools.run("record_outcome", {"ok": True}, "c1")
    assert result.answer == {"recorded": True}
    assert stores.written == [
        ("begin", ("c1", "record_outcome", {"ok": True})),
        ("tool_called", ("c1", "record_outcome", {"ok": True})),
        ("finish", ("c1", {"recorded": True})),
    ]


async def test_a_wrong_result_goes_back_to_the_model_and_is_no_fact(
    tools: Tools, stores: _Stores
) -> None:
    result = await tools.run("record_outcome", {"ok": "maybe"}, "c1")
    assert "ok" in result.answer["error"]
    assert result.run_model
    assert stores.steps == ["begin", "finish"]


async def test_the_call_does_not_end_over_a_refused_result_but_once(
    tools: Tools, stores: _Stores, call: _Call
) -> None:
    await tools.run("record_outcome", {}, "c1")
    assert "error" in (await tools.run("end_call", {}, "c2")).answer
    assert not call.endings
    assert "error" not in (await tools.run("end_call", {}, "c3")).answer
    assert call.endings == [(PHRASES.goodbye, "agent_ended")]


@pytest.mark.parametrize(
    ("arguments", "spoke", "farewell"),
    [
        ({}, False, PHRASES.goodbye),
        ({}, True, None),
        ({"goodbye": "Bye now."}, True, "Bye now."),
        ({"goodbye": "  "}, True, None),
    ],
)
async def test_goodbye_is_said_once(
    tools: Tools,
    stores: _Stores,
    call: _Call,
    arguments: dict[str, Any],
    spoke: bool,
    farewell: str | None,
) -> None:
    call.spoke = spoke
    result = await tools.run("end_call", arguments, "c1")
    assert not result.run_model
    assert call.endings == [(farewell, "agent_ended")]


async def test_an_opt_out_suppresses_first_and_then_says_so(
    tools: Tools, stores: _Stores, call: _Call
) -> None:
    await tools.run("opt_out", {}, "c1")
    assert stores.steps == ["begin", "suppress", "tool_called", "finish"]
    assert call.endings == [(PHRASES.opted_out, "opted_out")]


async def test_a_store_that_is_away_for_a_moment_does_not_lose_an_opt_out(
    tools: Tools, stores: _Stores
) -> None:
    stores.failures = 3
    assert "error" not in (await tools.run("opt_out", {}, "c1")).answer
    assert "suppress" in stores.steps


async def test_a_store_that_stays_away_is_an_answer_and_no_exception(
    tools: Tools, stores: _Stores
) -> None:
    stores.failures = 100
    assert "error" in (await tools.run("record_outcome", {"ok": True}, "c1")).answer


async def test_a_callback_is_told_with_its_zone(tools: Tools, stores: _Stores) -> None:
    result = await tools.run("schedule_callback", {"in_minutes": 5, "reason": "busy"}, "c1")
    at = result.answer["scheduled_for"]
    told = dict(stores.written)["tool_called"][2]
    assert told == {"in_minutes": 5, "reason": "busy", "at": at}
    assert at.endswith("+00:00")


async def test_a_machine_is_handed_on_and_the_model_is_silent(
    tools: Tools, stores: _Stores, call: _Call
) -> None:
    result = await tools.run("voicemail_reached", {}, "c1")
    assert (call.machines, result.run_model) == (1, False)


@pytest.mark.parametrize("name", ["send_digits", "transfer_to_human", "rm", ""])
async def test_a_tool_that_the_call_does_not_have_does_nothing(
    tools: Tools, stores: _Stores, name: str
) -> None:
    assert "error" in (await tools.run(name, {}, "c1")).answer
    assert not stores.written


async def test_calls_that_share_an_id_are_still_two(tools: Tools, stores: _Stores) -> None:
    await tools.run("record_outcome", {"ok": True}, "c1")
    await tools.run("record_outcome", {"ok": False}, "c1")
    ids = [value[0] for what, value in stores.written if what == "begin"]
    assert ids == ["c1", "c1#2"]


async def test_a_stream_after_a_lost_one_writes_calls_of_its_own(
    call: _Call, stores: _Stores
) -> None:
    await tools_of(call, stream_no=2).run("record_outcome", {"ok": True}, "c1")
    assert [value[0] for what, value in stores.written if what == "begin"] == ["2:c1"]


@pytest.mark.parametrize(
    ("arguments", "spoke", "said"),
    [
        ({}, False, PHRASES.transfer),
        ({}, True, None),
        ({"goodbye": "I'll put you through."}, True, "I'll put you through."),
    ],
)
async def test_a_human_takes_over_with_a_word_before(
    call: _Call, stores: _Stores, arguments: dict[str, Any], spoke: bool, said: str | None
) -> None:
    call.spoke = spoke
    transfer = Transfer(number="+12125550100")
    tools = tools_of(call, tools=("transfer_to_human",), transfer=transfer)
    result = await tools.run("transfer_to_human", arguments, "c1")
    assert (call.transfers, result.run_model) == ([said], False)


async def test_a_transfer_that_came_too_late_is_told_to_the_model(
    call: _Call, stores: _Stores
) -> None:
    call.may_transfer = False
    transfer = Transfer(number="+12125550100")
    tools = tools_of(call, tools=("transfer_to_human",), transfer=transfer)
    result = await tools.run("transfer_to_human", {}, "c1")
    assert "error" in result.answer
    assert result.run_model
    assert "tool_called" not in stores.steps


@pytest.mark.parametrize(
    ("digits", "pressed"),
    [("1", ["1"]), ("12#*0", ["12#*0"]), ("one", []), ("", []), ("1" * 33, []), ("1\n", [])],
)
async def test_keys_are_pressed_or_refused(
    call: _Call, stores: _Stores, digits: str, pressed: list[str]
) -> None:
    tools = tools_of(call, tools=("send_digits",))
    result = await tools.run("send_digits", {"digits": digits}, "c1")
    assert call.pressed == pressed
    assert result.run_model is (not pressed)


async def test_an_interruption_does_not_undo_what_was_asked_for(
    tools: Tools, stores: _Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*_: Any, **__: Any) -> bool:
        reached.set()
        await go_on.wait()
        stores.written.append(("suppress", "slow"))
        return True

    monkeypatch.setattr(module, "suppress", slow)
    running = asyncio.create_task(tools.run("opt_out", {}, "c1"))
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    go_on.set()
    async with asyncio.timeout(5):
        while "finish" not in stores.steps:  # noqa: ASYNC110 - the work goes on by itself
            await asyncio.sleep(0)
    assert "suppress" in stores.steps
