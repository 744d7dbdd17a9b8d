"""A model of another service as an endpoint of the route: its words, its tools, its failures."""

import asyncio
import json
from typing import Any

import pytest
from pipecat.frames.frames import Frame, FunctionCallFromLLM, LLMContextFrame, LLMTextFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings

from outdial_media.foreign_model import ForeignModel
from outdial_media.model_answer import BadAnswer, Endpoint
from outdial_media.model_route import ModelHealth, ModelRoute

pytestmark = pytest.mark.unit

TOOL = {
    "type": "function",
    "function": {
        "name": "end_call",
        "description": "Hang up.",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}, "required": []},
    },
}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
made: list["Scripted"] = []


class Scripted(LLMService[Any]):
    """Does what it is told, in pipecat's own way."""

    def __init__(self, does: str) -> None:
        super().__init__(settings=LLMSettings(model="m", system_instruction=None))
        self.does = does
        self.asked: list[Any] = []
        self.stopped = False
        made.append(self)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            return
        context = frame.context
        self.asked.append((self._settings.system_instruction, context.messages, context.tools))
        await self.push_frame(LLMTextFrame("Good "))
        if self.does == "errs":
            await self.push_error("quota", exception=RuntimeError("quota"))
            return
        if self.does == "hangs":
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped = True
        await self._push_llm_text("day.")
        if self.does == "calls":
            call = FunctionCallFromLLM("end_call", "id-1", {"a": "b"}, context)
            await self.run_function_calls([call])


def model(does: str) -> ForeignModel:
    made.clear()
    return ForeignModel(lambda cls: cls(does), Scripted)


async def text_of(stream: Any) -> tuple[str, list[tuple[str, Any]]]:
    text, calls = "", []
    async for chunk in stream:
        delta = chunk.choices[0].delta
        text += delta.content or ""
        for call in delta.tool_calls or ():
            calls.append((call.function.name, json.loads(call.function.arguments)))
    return text, calls


async def test_words_and_calls_come_as_an_openai_clients_do() -> None:
    foreign = model("calls")
    stream = await foreign.create(messages=MESSAGES, tools=[TOOL], stream=True)
    assert await text_of(stream) == ("Good day.", [("end_call", {"a": "b"})])
    ((instruction, messages, tools),) = made[0].asked
    assert instruction == "Be brief."
    assert messages == [{"role": "user", "content": "Hi"}]
    assert [tool.name for tool in tools.standard_tools] == ["end_call"]
    whole = (await foreign.create(messages=MESSAGES, tools=[TOOL])).choices[0].message
    assert (whole.content, whole.tool_calls[0].function.name) == ("Good day.", "end_call")
    assert len(made) == 1  # the first was free again
    await foreign.close()


async def test_two_at_once_have_a_service_each() -> None:
    foreign = model("works")
    streams = [await foreign.create(messages=MESSAGES, stream=True) for _ in range(2)]
    assert await asyncio.gather(*map(text_of, streams)) == [("Good day.", [])] * 2
    assert len(made) == 2


async def test_an_error_is_a_bad_answer() -> None:
    with pytest.raises(BadAnswer, match="quota"):
        await text_of(await model("errs").create(messages=MESSAGES, stream=True))


async def test_who_is_interrupted_stops_asking() -> None:
    stream = await model("hangs").create(messages=MESSAGES, stream=True)
    assert (await anext(aiter(stream))).choices[0].delta.content == "Good "
    await stream.close()
    assert made[0].stopped


@pytest.mark.parametrize("does", ["errs", "hangs"])
async def test_the_route_asks_the_next_one_and_goes_on_where_it_stopped(does: str) -> None:
    well = ForeignModel(lambda cls: cls("works"), Scripted)
    route = ModelRoute(
        [Endpoint(model(does), "first", at="a"), Endpoint(well, "second", at="b")],
        ModelHealth(),
        patience=0.3,
    )
    failed: list[str] = []
    route.on_failure = lambda name, _error: failed.append(name)
    text, _ = await text_of(await route.create(messages=MESSAGES, stream=True))
    assert text.split() == ["Good", "day."]
    assert failed == ["first at a"]
