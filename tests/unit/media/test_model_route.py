"""Whichever model answers: each failure at each moment of an answer, and what the next says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, omit
from openai._utils import async_maybe_transform
from openai.resources.chat.completions import completions

from outdial_media.model_answer import Endpoint
from outdial_media.model_route import ModelHealth, ModelRoute, NoModelAnswers

pytestmark = pytest.mark.unit

PATIENCE = 0.4
Script = Callable[[dict[str, Any]], httpx.Response]


def delta(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content, **more}, "finish_reason": finish}
    body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps(body | {'choices': [choice]})}\n\n".encode()


def call(arguments: str, index: int = 0) -> bytes:
    function = {"name": "opt_out", "arguments": arguments}
    return delta(tool_calls=[{"index": index, "id": f"c{index}", "function": function}])


DONE = b"data: [DONE]\n\n"


class Stream(httpx.AsyncByteStream):
    """Pieces, an exception to raise, or None: nothing comes any more."""

    def __init__(self, *pieces: bytes | Exception | None) -> None:
        self.pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if piece is None:
                await asyncio.Event().wait()
            elif isinstance(piece, Exception):
                raise piece
            else:
                yield piece

    async def aclose(self) -> None:
        self.closed = True


def says(*words: str) -> Stream:
    return Stream(*(delta(word) for word in words), delta(None, "stop"), DONE)


class Models:
    """Answers of the models, in the order in which they are asked; notes what they were asked."""

    def __init__(self, *answers: httpx.Response | Stream | Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self.client = AsyncOpenAI(
            api_key="k",
            base_url="http://models.example/v1",
            http_client=httpx.AsyncClient(transport=httpx.MockTransport(self._answer)),
            max_retries=0,
        )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        answer = self.answers.pop(0)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Stream):
            headers = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=headers, stream=answer)
        assert answer is not None
        return answer

    def route(self, health: ModelHealth | None = None, patience: float = PATIENCE) -> ModelRoute:
        endpoints = [Endpoint(self.client, name) for name in ("first", "second")]
        route = ModelRoute(endpoints, health or ModelHealth(), patience)
        route.on_failure = lambda model, error: self.failures.append(f"{model}: {error}")
        return route

    async def answer(self, route: ModelRoute | None = None) -> tuple[str, list[Any]]:
        """Words and calls of one answer."""
        messages = [{"role": "user", "content": "yes"}]
        words, calls = "", []
        async for chunk in await (route or self.route()).create(
            model="ignored", messages=messages, stream=True
        ):
            for choice in chunk.choices:
                words += choice.delta.content or ""
                calls += choice.delta.tool_calls or []
        return words, calls


def error(status: int, code: str = "") -> httpx.Response:
    return httpx.Response(
        status, json={"error": {"message": "no", "code": code}}, headers={"retry-after": "60"}
    )


CUT = httpx.ReadError("connection reset")
WORDS = "Great, thank you."
FAILURES: dict[str, httpx.Response | Stream | Exception | None] = {
    "429": error(429),
    "500": error(500),
    "tool_use_failed": error(400, "tool_use_failed"),
    "refused": httpx.ConnectError("refused"),
    "hangs": None,
    "opens and hangs": Stream(None),
    "gives a role and hangs": Stream(delta("", role="assistant"), None),
    "is cut at the first word": Stream(CUT),
    "is cut after words": Stream(delta("Great,"), CUT),
    "hangs after words": Stream(delta("Great,"), delta(" thank"), None),
    "ends without an end": Stream(delta("Great,"), DONE),
    "breaks a call off": Stream(call('{"a'), delta(None, "tool_calls"), DONE),
    "is cut in a call": Stream(call('{"a": 1}'), CUT),
    "calls with a list": Stream(call("[1]"), delta(None, "tool_calls"), DONE),
}


@pytest.fixture(scope="module", autouse=True)
async def _first_request() -> None:
    """The client's first request imports half of itself: that is no model's slowness."""
    models = Models(says("Hello."))
    await models.answer(models.route(patience=60))


@pytest.mark.parametrize("failure", FAILURES, ids=str)
async def test_the_second_model_answers_the_same_turn(failure: str) -> None:
    models = Models(FAILURES[failure], says("Great,", " thank", " you."))
    assert await models.answer() == (WORDS, [])
    assert [asked["model"] for asked in models.asked] == ["first", "second"]
    assert len(models.failures) == 1
    assert models.failures[0].startswith("first at models.example: ")


@pytest.mark.parametrize("failure", FAILURES, ids=str)
async def test_when_none_answers_that_is_said(failure: str) -> None:
    one = FAILURES[failure]
    other = Stream(*one.pieces) if isinstance(one, Stream) else one
    models = Models(one, other)
    with pytest.raises(NoModelAnswers, match=r"first at .*; second at "):
        await models.answer()


async def test_what_was_said_already_is_told_and_not_said_again() -> None:
    models = Models(Stream(delta("Great, th"), CUT), says(" thank", " you indeed."))
    words, _ = await models.answer()
    assert words == "Great, th  thank you indeed.".replace("  ", " ")
    so_far = models.asked[1]["messages"]
    assert so_far[-2] == {"role": "assistant", "content": "Great, th"}
    assert so_far[-1]["role"] == "system"


async def test_words_that_only_begin_like_a_repetition_are_kept() -> None:
    models = Models(Stream(delta("Great, thank"), CUT), says("Great,", " that is fine."))
    assert await models.answer() == ("Great, thank Great, that is fine.", [])


async def test_calls_come_last_whole_and_numbered() -> None:
    pieces = (
        call('{"a":', 3),
        delta(None, None, tool_calls=[{"index": 3, "function": {"arguments": "1}"}}]),
    )
    models = Models(Stream(delta("Sure."), *pieces, call("", 7), delta(None, "tool_calls"), DONE))
    words, calls = await models.answer()
    assert words == "Sure."
    told = [(c.index, c.id, c.function.name, c.function.arguments) for c in calls]
    assert told == [(0, "c3", "opt_out", '{"a":1}'), (1, "c7", "opt_out", "")]


async def test_a_model_that_failed_is_asked_last_by_every_call_for_a_while() -> None:
    models = Models(error(500), says("One."), says("Two."))
    health = ModelHealth()
    await models.answer(models.route(health))
    assert (await models.answer(models.route(health)))[0] == "Two."
    assert [asked["model"] for asked in models.asked] == ["first", "second", "second"]


async def test_one_model_is_asked_once_more() -> None:
    models = Models(error(500), says("Here."))
    route = ModelRoute([Endpoint(models.client, "only")], ModelHealth(), PATIENCE)
    assert await models.answer(route) == ("Here.", [])


async def test_an_answer_in_one_piece_goes_the_same_way() -> None:
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    models = Models(error(429), httpx.Response(200, json=whole))
    answer = await models.route().create(messages=[])
    assert answer.id == "1"
    assert [asked["model"] for asked in models.asked] == ["first", "second"]


async def test_a_stream_that_is_left_is_closed() -> None:
    stream = Stream(delta("Great,"), None)
    models = Models(stream)
    answer = await models.route().create(messages=[], stream=True)
    await anext(answer)
    await answer.aclose()
    assert stream.closed


async def test_a_request_is_sent_as_it_is_by_the_client_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """openai 2 goes through all messages and tools, with no change, while every call waits."""
    walked: list[Any] = []

    async def walk(data: Any, kind: Any) -> Any:
        walked.append(data)
        return await async_maybe_transform(data, kind)

    monkeypatch.setattr(completions, "async_maybe_transform", walk)
    models = Models(says("Hello."))
    tools = [{"type": "function", "function": {"name": "opt_out", "parameters": {}}}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "yes"}]
    said = {"messages": messages, "tools": tools, "temperature": 0.3, "top_p": omit}
    request = said | {"model": "", "extra_body": {"seed": 3}}
    async for _ in await models.route().create(**request, stream=True):
        pass
    (asked,) = models.asked
    assert asked == {
        "model": "first",
        "stream": True,
        "messages": messages,
        "tools": tools,
        "temperature": 0.3,
        "seed": 3,
    }
    (data,) = walked
    assert {name for name, value in data.items() if value is not omit} == {
        "messages",
        "model",
        "stream",
    }
    assert data["messages"] == []
    assert models.client._platform is not None, "a copy of the client would have to ask for it"
