"""One model's answer as it comes: asked for, told on, and whole or a failure.

What another model has said before it broke off is not said again, and calls of tools come last.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from openai import AsyncOpenAI, NotGiven, Omit, OpenAIError
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)

GO_ON = (
    "The connection broke while you were speaking. The person has heard the words above. Go on "
    "exactly where they stop, and repeat nothing."
)


class BadAnswer(Exception):
    """It broke off, calls a tool with arguments that are no JSON, or nobody could be asked."""


FAILURES = (OpenAIError, httpx.HTTPError, OSError, TimeoutError, BadAnswer)


@dataclass(frozen=True)
class Endpoint:
    """A model, and the API that it is asked at.

    The client must not try again by itself (`max_retries`): it would wait as long as a 429's
    Retry-After says. It is used as it is: a copy by `with_options` asks a thread for the
    platform's name before each request.
    """

    client: AsyncOpenAI | Any | None  # or what answers as one does (`foreign_model.py`)
    model: str
    problem: str = ""  # why it cannot be asked
    at: str = ""  # empty: the client's host

    @property
    def name(self) -> str:
        """As it is told in records."""
        host = self.at or (self.client.base_url.host if self.client else "nowhere")
        return f"{self.model} at {host}"


async def ask(endpoint: Endpoint, request: Mapping[str, Any]) -> Any:
    """Its answer, as `chat.completions.create` gives it; or one of `FAILURES`."""
    if endpoint.client is None:
        raise BadAnswer(endpoint.problem)
    asked = {**request, "model": endpoint.model}
    if isinstance(endpoint.client, AsyncOpenAI):
        asked = _as_it_is(asked)
    return await endpoint.client.chat.completions.create(**asked)


_OF_THE_CLIENT = {"model", "stream", "timeout", "extra_headers", "extra_query", "extra_body"}


def _as_it_is(request: dict[str, Any]) -> dict[str, Any]:
    """The same request, with what it says kept from openai 2's `async_maybe_transform`.

    It compares every value with the types of the API, and changes none: 3 ms on an idle core, in
    which no other call's sound goes on.
    """
    rest = {name: request[name] for name in _OF_THE_CLIENT & request.keys()}
    said = {
        name: value
        for name, value in request.items()
        if name not in _OF_THE_CLIENT and not isinstance(value, NotGiven | Omit)
    }
    return {"messages": [], **rest, "extra_body": said | (rest.get("extra_body") or {})}


class ModelAnswer:
    """One model's answer, told on as it comes; `said` are the words told so far, of all attempts.

    Words that an earlier attempt has said already are left out. Calls of tools come last and
    whole, one a chunk.
    """

    def __init__(
        self, endpoint: Endpoint, request: dict[str, Any], said: str, patience: float
    ) -> None:
        self._endpoint = endpoint
        self._request = _continued(request, said)
        self._patience = patience
        self._repeat = said  # the answer may begin with these words once more
        self._held = ""
        self.said = said
        self._calls: dict[int, ChoiceDeltaToolCallFunction] = {}
        self._ids: dict[int, str] = {}
        self._finished = False

    async def chunks(self) -> AsyncGenerator[ChatCompletionChunk, None]:
        """The answer, or one of `FAILURES`."""
        deadline = asyncio.get_running_loop().time() + self._patience
        async with asyncio.timeout_at(deadline):
            stream = await ask(self._endpoint, self._request)
        last: ChatCompletionChunk | None = None
        try:
            chunks = aiter(stream)
            while (chunk := await _next(chunks, deadline)) is not None:
                if _is_token(chunk):
                    deadline = asyncio.get_running_loop().time() + self._patience
                if chunk.choices:
                    last = chunk
                if (told := self._tell(chunk)) is not None:
                    yield told
        finally:
            with suppress(*FAILURES):
                await stream.close()
        if not self._finished or last is None:
            raise BadAnswer("the answer broke off")
        for call in self._whole_calls():
            yield _with_delta(last, ChoiceDelta(tool_calls=[call]))

    def _tell(self, chunk: ChatCompletionChunk) -> ChatCompletionChunk | None:
        if not chunk.choices:
            return chunk  # the usage
        choice = chunk.choices[0]
        self._finished = self._finished or choice.finish_reason is not None
        if choice.delta and choice.delta.tool_calls:
            self._keep(choice.delta.tool_calls)
        text = self._new_words((choice.delta and choice.delta.content) or "")
        if not text:
            return None
        self.said += text
        return _with_delta(chunk, ChoiceDelta(content=text))

    def _new_words(self, text: str) -> str:
        """Of what comes, the words that were not said before this attempt."""
        if not self._repeat:
            return text
        self._held += text
        if len(self._held) < len(self._repeat) and self._repeat.startswith(self._held):
            return ""
        held, repeat, self._held, self._repeat = self._held, self._repeat, "", ""
        return held.removeprefix(repeat) if held.startswith(repeat) else f" {held.lstrip()}"

    def _keep(self, pieces: Sequence[ChoiceDeltaToolCall]) -> None:
        for piece in pieces:
            call = self._calls.setdefault(
                piece.index, ChoiceDeltaToolCallFunction(name="", arguments="")
            )
            if piece.id:
                self._ids[piece.index] = piece.id
            if piece.function is not None:
                call.name = (call.name or "") + (piece.function.name or "")
                call.arguments = (call.arguments or "") + (piece.function.arguments or "")

    def _whole_calls(self) -> list[ChoiceDeltaToolCall]:
        """The calls, numbered from 0. Pipecat drops one whose arguments are no JSON, silently."""
        for call in self._calls.values():
            try:
                arguments = json.loads(call.arguments or "{}")
            except ValueError as error:
                raise BadAnswer(f"arguments of {call.name} are no JSON: {error}") from None
            if not isinstance(arguments, dict):
                raise BadAnswer(f"arguments of {call.name} are no object")
        return [
            ChoiceDeltaToolCall(
                index=number, id=self._ids.get(index, f"call_{index}"), function=call
            )
            for number, (index, call) in enumerate(sorted(self._calls.items()))
        ]


def _continued(request: dict[str, Any], said: str) -> dict[str, Any]:
    if not said:
        return request
    so_far = [{"role": "assistant", "content": said}, {"role": "system", "content": GO_ON}]
    return request | {"messages": [*request["messages"], *so_far]}


async def _next(
    chunks: AsyncIterator[ChatCompletionChunk], deadline: float
) -> ChatCompletionChunk | None:
    async with asyncio.timeout_at(deadline):
        return await anext(chunks, None)


def _is_token(chunk: ChatCompletionChunk) -> bool:
    """Whether it holds something of the answer. Some models open the stream and then think."""
    delta = chunk.choices[0].delta if chunk.choices else None
    return bool(delta and (delta.content or delta.tool_calls))


def _with_delta(chunk: ChatCompletionChunk, delta: ChoiceDelta) -> ChatCompletionChunk:
    choice = Choice(index=0, delta=delta, finish_reason=None)
    return chunk.model_copy(update={"choices": [choice], "usage": None})
