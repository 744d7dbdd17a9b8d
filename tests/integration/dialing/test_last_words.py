"""A pod dies with the person's last words unanswered: a worker has the model act on them."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from dialing_world import World, pod, status
from outdial.operations.conversation_record import SpokenTurn, save_turn
from outdial.operations.run_sweeps import run_sweeps
from outdial.storage import suppressions, transcripts
from outdial.storage.tables import Attempt

pytestmark = pytest.mark.integration


@dataclass
class Model:
    """A language model that answers each request with the next of its lines."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    url: str = ""

    def calls(self, name: str, **arguments: object) -> None:
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": f"call_{len(self.answers)}", "type": "function", "function": function}
        self.answers.append({"role": "assistant", "content": None, "tool_calls": [call]})

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        self.asked.append(json.loads(await reader.readexactly(length)))
        said = self.answers.pop(0) if self.answers else {"role": "assistant", "content": "Bye."}
        body = json.dumps({"choices": [{"message": said}]}).encode()
        writer.write(
            f"HTTP/1.1 {self.status} X\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def model(world: World) -> AsyncIterator[Model]:
    model = Model()
    server = await asyncio.start_server(model.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = world.runtime.settings.model_copy(
        update={"groq_base_url": f"http://127.0.0.1:{port}"}
    )
    world.runtime = replace(world.runtime, settings=settings)
    async with server:
        yield model


async def broken_off(world: World, *said: tuple[str, str]) -> Attempt:
    """A call that is over, in which so much was said, and whose pod lives another life now."""
    attempt = await world.dial(await world.add_lead())
    sid = str(attempt.call_sid)
    await world.hear(
        attempt.id,
        status("in-progress", 1, sid),
        pod("stream_started", stream_no=1),
        status("completed", 2, sid),
    )
    for position, (role, text) in enumerate(said):
        await save_turn(world.runtime, attempt.id, 1, position, SpokenTurn(role, text))
    world.boot_id = "boot-2"
    await world.beat()
    return attempt


async def test_stop_calling_me_is_heard(world: World, model: Model) -> None:
    model.calls("opt_out")
    attempt = await broken_off(world, ("agent", "Hello."), ("person", "Stop calling me!"))
    await run_sweeps(world.runtime)
    assert (await world.attempt(attempt.id)).outcome == "opted_out"
    async with world.runtime.sessions() as session:
        assert await suppressions.is_suppressed(session, attempt.phone)
        (call,) = await transcripts.tool_calls_of(session, attempt.id)
    assert (call.name, call.result) == ("opt_out", {})
    said = [(message["role"], message["content"]) for message in model.asked[0]["messages"][1:]]
    assert said == [("assistant", "Hello."), ("user", "Stop calling me!")]
    assert "end_call" not in json.dumps(model.asked[0]["tools"])


async def test_what_was_answered_is_not_answered_again(world: World, model: Model) -> None:
    attempt = await broken_off(world, ("person", "Stop."), ("agent", "I will."))
    await run_sweeps(world.runtime)
    assert (model.asked, (await world.attempt(attempt.id)).state) == ([], "ended")


async def test_it_happens_once(world: World, model: Model) -> None:
    model.calls("schedule_callback", in_minutes=60)
    attempt = await broken_off(world, ("person", "Call me in an hour."))
    await run_sweeps(world.runtime)
    asked = len(model.asked)
    await run_sweeps(world.runtime)
    assert len(model.asked) == asked == 2
    waiting = await world.lead(attempt.lead_id) if attempt.lead_id else None
    assert waiting is not None
    assert (waiting.state, waiting.scheduled_by) == ("retry", "person")


async def test_a_model_that_fails_keeps_nobody_waiting(world: World, model: Model) -> None:
    model.status = 500
    attempt = await broken_off(world, ("person", "Stop calling me!"))
    await run_sweeps(world.runtime)
    assert (await world.attempt(attempt.id)).outcome == "technical_failure"


async def test_arguments_that_do_not_fit_are_told_to_the_model(world: World, model: Model) -> None:
    model.calls("schedule_callback", at="yesterday or so")
    model.calls("no_such_tool")
    attempt = await broken_off(world, ("person", "Another time."))
    await run_sweeps(world.runtime)
    told = [m["content"] for m in model.asked[-1]["messages"] if m["role"] == "tool"]
    assert len(told) == 2
    assert all("error" in text for text in told)
    assert (await world.attempt(attempt.id)).facts.get("callback_at") is None


async def test_an_endpoint_of_the_operators_own_is_asked_and_groq_when_it_is_silent(
    world: World, model: Model
) -> None:
    voice = {"llm": "qwen", "llm_service": "mine"}
    await world.execute(
        "UPDATE templates SET body = jsonb_set(body, '{voice}', body->'voice' || :voice)",
        voice=json.dumps(voice),
    )
    own = Model(status=503)
    server = await asyncio.start_server(own.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = world.runtime.settings.model_copy(
        update={"model_endpoints": f"mine=http://127.0.0.1:{port}/v1", "groq_model": "default"}
    )
    world.runtime = replace(world.runtime, settings=settings)
    model.calls("opt_out")
    async with server:
        attempt = await broken_off(world, ("person", "Stop calling me!"))
        await run_sweeps(world.runtime)
    assert (await world.attempt(attempt.id)).outcome == "opted_out"
    assert [asked["model"] for asked in own.asked] == ["qwen"]
    assert {asked["model"] for asked in model.asked} == {"default"}
